// The events that tell of a run (docs/protocol.md, "Events").
//
// Thread rule: pure functions.
#pragma once

#include <vector>

#include "services/scheduler/run/step.hpp"
#include "services/scheduler/store.hpp"

namespace lockstep::scheduler {

Emitted state_event(const run::State& state);

// What went on between two states of a run: each phase that it entered; a missed moment; a point.
std::vector<Emitted> events_of(const run::State& before, const run::State& after,
                               const run::Effects& effects, bool followed);

}  // namespace lockstep::scheduler
