// Successor: the run with a new moment that follows one which failed or was missed.
//
// Pure functions.
#pragma once

#include <string>

#include "state.hpp"

namespace lockstep::run {

// How long is waited after so many failures: 1, 2, 4 ... seconds, at most `cap`.
Span back_off(int failures, Span cap);
inline constexpr Span kRetryCap = 30 * kSecond;

// Whether a run that has ended is followed by another with a new moment, and by which.
bool deserves_successor(const State& state);
Plan successor(const State& ended, std::string run, Instant now);

}  // namespace lockstep::run
