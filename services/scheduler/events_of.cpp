#include "services/scheduler/events_of.hpp"

#include <algorithm>
#include <limits>

#include "services/scheduler/facts_body.hpp"
#include "services/scheduler/messages.hpp"
#include "services/scheduler/run/certificate.hpp"

namespace lockstep::scheduler {

using message::Body;

namespace {

// How a point came about, beside what it is: what the writers and the network had to bear.
Body complete_data(const run::State& state) {
  const Body point = point_body(state);
  const run::Certificate certificate = run::certify(state);
  run::Instant first = std::numeric_limits<run::Instant>::max();
  run::Instant last = std::numeric_limits<run::Instant>::min();
  std::uint64_t sent = 0;
  std::uint64_t again = 0;
  Body fences = Body::array();
  for (const run::Certificate::Set& set : certificate.sets) {
    first = std::min(first, set.pinned.requested);
    last = std::max(last, set.pinned.acknowledged);
    sent += set.moved.bytes_sent;
    again += set.moved.bytes_resent;
    if (!set.fence) continue;
    // Writers may have stood from the first word to the last.
    const run::Span held = set.fence->lowered.acknowledged - set.fence->raised.requested;
    fences.push_back({{"set", set.name}, {"held_ns", std::max<run::Span>(0, held)}});
  }
  return {{"id", state.plan.run},
          {"service", state.plan.service},
          {"moment", point.at("moment")},
          {"skew_ns", point.at("skew_ns")},
          {"lateness_ns", point.at("lateness_ns")},
          {"entries", point.at("entries")},
          {"bytes", point.at("bytes")},
          {"duration_ns", state.ended_at - state.began_at},
          {"window_ns", last < first ? 0 : last - first},
          {"fences", std::move(fences)},
          {"bytes_sent", sent},
          {"bytes_resent", again}};
}

}  // namespace

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
    events.push_back({"point.complete", plan.service, complete_data(after)});
  }
  return events;
}

}  // namespace lockstep::scheduler
