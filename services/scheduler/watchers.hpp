// Watchers: the requests that wait for a run to end (`lockstep run --wait`).
//
// Thread rule: the reactor's thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/transport/server.hpp"
#include "services/scheduler/run/state.hpp"

namespace lockstep::scheduler {

class Watchers {
 public:
  void add(const std::string& run, const transport::Request& request);
  // `run` was followed by another attempt; its watchers wait for that.
  void move(const std::string& run, const std::string& successor);
  // What the run does now; `sets`: how far a step is, or null.
  void tell(const run::State& state, const std::string& step, const message::Body& sets);
  // Requires a terminal state. Answers and forgets its watchers.
  void end(const run::State& state);

 private:
  std::map<std::string, std::vector<transport::Request>> waiting_;
};

}  // namespace lockstep::scheduler
