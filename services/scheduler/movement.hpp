// Movement: whether a step that an agent answers to gets on. An agent that is there and repeats
// itself for `stall` is stuck; one that says nothing at all is the wire's to notice.
//
// Thread rule: the reactor's thread.
#pragma once

#include <optional>
#include <string>

#include "common/transport/client.hpp"
#include "services/scheduler/run/step.hpp"

namespace lockstep::scheduler {

class Movement {
 public:
  // `ask.stall` 0: the agent sees to it itself, and nothing is ever found here.
  Movement(const run::Ask& ask, MonoNanos now) : key_(ask.key), stall_{ask.stall}, moved_(now) {}

  bool watched() const { return stall_.count > 0; }
  // Told every reply but the last: why the step has failed, where it has.
  std::optional<run::Failure> look(const transport::Reply& reply, MonoNanos now);

 private:
  run::StepKey key_;
  Nanos stall_;
  MonoNanos moved_;
  message::Body last_;  // how far it had come then
};

}  // namespace lockstep::scheduler
