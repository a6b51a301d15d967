// ProgressBoard: how far each data set of a long step has come, for its progress replies.
//
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "common/message/envelope.hpp"

namespace lockstep::service {

struct SetProgress {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> bytes_expected = {};
  bool at_most = false;  // bytes_expected may turn out to be too much
};

class ProgressBoard {
 public:
  void put(const std::string& set, const SetProgress& progress);
  // `definitions.json`, progress: {sets: [{name, entries, bytes, bytes_expected?, at_most?}]}, in
  // the order of their names.
  message::Body body() const;

 private:
  mutable std::mutex guard_;
  std::map<std::string, SetProgress> sets_;
};

}  // namespace lockstep::service
