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

// How a cluster becomes the primary.
enum class How {
  promotion,   // the other one is gone, or is to be given up
  failback,    // back to one that was superseded by a promotion, nothing of it or of the other lost
  switchover,  // as planned, nothing lost
};
const char* how_name(How how);

// In DESIGN's order; each is entered when what is before it has been done and stands in the
// journal. Those up to `carried` are of failback and switchover alone.
enum class Stage {
  planned,     // the points, or for the planned ways the services, are chosen
  confirmed,   // the application of the cluster that takes over is stopped there
  set_aside,   // failback: what it had written and nobody carried over is pinned and listed
  caught_up,   // each service was backed up to it while it went on
  stopped,     // the writers of the present primary are stopped
  carried,     // each service was backed up once more: nothing is missing
  decided,     // the epoch is raised
  isolated,    // the hook that stops the old primary was called
  stood_down,  // the jobs of the older epoch were ended
  activated,   // every service's data sets are live
  identified,  // the cluster shows the identity
  switched,    // the application's client was switched
  complete,    // the application was started there
};
const char* stage_name(Stage stage);

struct Job {
  How how = How::promotion;
  identity::Decision wanted;
  std::string old;  // the cluster that was the primary
  Stage stage = Stage::planned;
  struct Service {
    std::string service;
    std::string point;             // empty: none
    std::string moment;            // of the point
    message::Body sets = nullptr;  // once live
    std::string aside;             // failback: the name of the pins of what is set aside
  };
  std::vector<Service> services;
  bool word = false;              // a person said that the application is stopped, in both clusters
  bool confirmed = false;         // the old primary was stopped, as a hook or that person says
  std::string isolation;          // what the hook said, or why there was none
  std::vector<std::string> runs;  // that stood down
  message::Body divergent = message::Body::array();
  std::string started;  // what the hook that starts the application said
};

extern const char* const kPromotionTable;

// The one that was begun and is neither complete nor given up.
Result<std::optional<Job>> open_job(journal::Journal& journal);
// Whether the cluster, a secondary, may have written what nobody carried over: it was superseded by
// a promotion, or nobody knows how.
Result<bool> may_have_diverged(journal::Journal& journal, const std::string& cluster,
                               const identity::Decision& newest);
// Whether that promotion was carried out to its end here.
Result<bool> is_complete(journal::Journal& journal, const std::string& promotion);
// `given_up`: it ended before its epoch was decided.
Result<void> keep_job(journal::Journal& journal, const Job& job, bool given_up);

}  // namespace lockstep::health
