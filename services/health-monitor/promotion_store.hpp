// What a promotion is and how far it has come, as the journal has it.
//
// Thread rule: the reactor's thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/identity/record.hpp"
#include "common/journal/journal.hpp"

namespace lockstep::health {

// In DESIGN's order; each is entered when what is before it has been done and stands in the
// journal.
enum class Stage {
  planned,     // the points are chosen
  decided,     // the epoch is raised
  isolated,    // the hook that stops the old primary was called
  stood_down,  // the jobs of the older epoch were ended
  activated,   // every service's data sets are live
  identified,  // the cluster shows the identity
  complete,    // the application's client was switched
};
const char* stage_name(Stage stage);

struct Job {
  identity::Decision wanted;
  std::string old;  // the cluster that was the primary
  Stage stage = Stage::planned;
  struct Service {
    std::string service;
    std::string point;             // empty: none
    std::string moment;            // of the point
    message::Body sets = nullptr;  // once live
  };
  std::vector<Service> services;
  bool confirmed = false;         // the old primary was stopped, as a hook says
  std::string isolation;          // what the hook said, or why there was none
  std::vector<std::string> runs;  // that stood down
};

extern const char* const kPromotionTable;

// The one that was begun and is neither complete nor given up.
Result<std::optional<Job>> open_job(journal::Journal& journal);
// `given_up`: it ended before its epoch was decided.
Result<void> keep_job(journal::Journal& journal, const Job& job, bool given_up);

}  // namespace lockstep::health
