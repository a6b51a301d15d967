#include "services/scheduler/events_of.hpp"

#include "services/scheduler/facts_body.hpp"
#include "services/scheduler/messages.hpp"

namespace lockstep::scheduler {

using message::Body;

Emitted state_event(const run::State& state) {
  const run::Plan& plan = state.plan;
  Body data = {{"run", plan.run},
               {"service", plan.service},
               {"state", run::phase_name(state.phase)},
               {"attempt", plan.attempt},
               {"moment", to_rfc3339({state.moment})}};
  if (state.failure) data["error"] = message::error_body(error_from_failure(*state.failure));
  return {"run.state", plan.run, std::move(data)};
}

std::vector<Emitted> events_of(const run::State& before, const run::State& after,
                               const run::Effects& effects, bool followed) {
  std::vector<Emitted> events;
  run::State between = before;
  for (const run::Record& record : effects.records) {
    const run::Phase phase = between.phase;
    run::fold(between, record);
    if (between.phase != phase) events.push_back(state_event(between));
  }
  if (before.phase == after.phase) return events;
  const run::Plan& plan = after.plan;
  if (after.phase == run::Phase::missed) {
    events.push_back({"run.missed",
                      plan.service,
                      {{"service", plan.service},
                       {"moment", to_rfc3339({plan.scheduled})},
                       {"caught_up", followed}}});
  }
  if (after.phase == run::Phase::complete) {
    const Body point = point_body(after);
    events.push_back({"point.complete",
                      plan.service,
                      {{"id", plan.run},
                       {"service", plan.service},
                       {"moment", point.at("moment")},
                       {"skew_ns", point.at("skew_ns")},
                       {"lateness_ns", point.at("lateness_ns")},
                       {"entries", point.at("entries")},
                       {"bytes", point.at("bytes")},
                       {"duration_ns", after.ended_at - after.began_at}}});
  }
  return events;
}

}  // namespace lockstep::scheduler
