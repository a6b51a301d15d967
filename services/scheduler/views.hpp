// Runs as other services and users are told of them (docs/protocol.md, `run`).
//
// Thread rule: pure functions.
#pragma once

#include <map>

#include "common/message/envelope.hpp"
#include "services/scheduler/run/state.hpp"

namespace lockstep::scheduler {

using Progress =
    std::map<run::StepKey, message::Body>;  // what a step under way last said of itself

message::Body run_body(const run::State& state, const Progress& progress);
message::Body run_body(const run::State& state);  // without its steps
// How far the step under way is, where one has said so; else null.
message::Body progress_of(const run::State& state, const Progress& progress);
message::Body run_error(const run::State& state);  // null where it has not failed

}  // namespace lockstep::scheduler
