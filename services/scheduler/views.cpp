#include "services/scheduler/views.hpp"

#include "services/scheduler/facts_body.hpp"

namespace lockstep::scheduler {

using message::Body;

Body run_error(const run::State& state) {
  if (state.failure) return message::error_body(error_from_failure(*state.failure));
  // On the way, and something does not answer: what the run waits for.
  for (const auto& [key, step] : state.steps) {
    const bool open = step.status == run::StepState::Status::waiting ||
                      step.status == run::StepState::Status::asked;
    if (open && step.failures > 0 && !run::terminal(state.phase))
      return message::error_body(error_from_failure(step.failure));
  }
  return nullptr;
}

Body progress_of(const run::State& state, const Progress& progress) {
  for (const auto& [key, said] : progress) {
    const run::StepState* step = state.find(key);
    if (step != nullptr && step->status == run::StepState::Status::asked) return said;
  }
  return nullptr;
}

Body run_body(const run::State& state) {
  const run::Plan& plan = state.plan;
  Body body = {{"run", plan.run},
               {"service", plan.service},
               {"state", run::phase_name(state.phase)},
               {"moment", to_rfc3339({state.moment})},
               {"attempt", plan.attempt},
               {"started_at", to_rfc3339({state.began_at == 0 ? plan.begin_at : state.began_at})}};
  if (state.ended_at != 0) body["ended_at"] = to_rfc3339({state.ended_at});
  if (Body error = run_error(state); !error.is_null()) body["error"] = std::move(error);
  if (state.verdict) {
    body["skew_ns"] = state.verdict->skew;
    body["lateness_ns"] = state.verdict->lateness;
  }
  if (state.phase == run::Phase::complete) body["point"] = plan.run;
  return body;
}

Body run_body(const run::State& state, const Progress& progress) {
  Body body = run_body(state);
  body["steps"] = Body::array();
  for (const auto& [key, step] : state.steps) {
    Body one = {{"step", run::step_name(key)},
                {"agent", key.agent},
                {"state", run::status_name(step.status)},
                {"started_at", to_rfc3339({step.asked_at})}};
    if (step.status != run::StepState::Status::asked && step.ended_at != 0)
      one["ended_at"] = to_rfc3339({step.ended_at});
    if (step.failures > 0 && step.status != run::StepState::Status::done)
      one["error"] = message::error_body(error_from_failure(step.failure));
    const auto said = progress.find(key);
    if (said != progress.end()) one["progress"] = said->second;
    body["steps"].push_back(std::move(one));
  }
  return body;
}

}  // namespace lockstep::scheduler
