// Ask: what is asked of whom, with which instants and limits. What an answer leads to is
// step.hpp's.
//
// Pure functions of the run's state.
#pragma once

#include <string>
#include <vector>

#include "state.hpp"

namespace lockstep::run {

// A request to an agent (or a hook of this host), to be sent after the records are durable.
struct Ask {
  StepKey key;
  int attempt = 1;
  std::vector<std::string> sets;  // of raise and pin: those named
  Instant at = 0;                 // of raise and pin: when; 0: at once
  Span silence = 0;               // nobody answers for this long: unreachable, or stalled
  Span deadline = 0;              // the whole of it
  Span stall = 0;  // it answers and nothing moves for this long: stalled; 0: it sees to that itself
};

// Requires that the step was recorded as asked.
Ask make_ask(const State& state, const StepKey& key, Instant now);

bool any_fence(const Plan& plan);
// How long before the moment fences go up; 0 without any.
Span lead(const Plan& plan);
// How late a pin may begin without a new moment.
Span slack(const Plan& plan);
// No fence is lowered before this: an instant of the control device's clock, reached that long
// after it heard of the last pin, which is no sooner than that long after the pin.
Instant lower_from(const State& state);

}  // namespace lockstep::run
