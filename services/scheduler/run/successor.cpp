#include "successor.hpp"

#include <algorithm>

namespace lockstep::run {

Span back_off(int failures, Span cap) {
  Span span = kSecond;
  for (int n = 1; n < failures && span < cap; ++n) span *= 2;
  return std::min(span, cap);
}

bool deserves_successor(const State& state) {
  if (state.phase == Phase::missed) return state.plan.catch_up;
  if (state.phase != Phase::failed || state.plan.attempt >= state.plan.attempts) return false;
  const auto agents = agents_of(state.plan);
  const bool committed = std::all_of(agents.begin(), agents.end(), [&](const std::string& agent) {
    const StepState* entry = state.find({Act::commit, 0, agent});
    const Committed* facts = entry == nullptr ? nullptr : std::get_if<Committed>(&entry->facts);
    return facts != nullptr && facts->committed;
  });
  if (committed || !state.failure) return false;
  // Arming had only until the moment; without one it may take the time it needs.
  if (state.failure->code == "fence-too-long") return !state.plan.now;
  return worth_another_run(*state.failure);
}

Plan successor(const State& ended, std::string run, Instant now) {
  Plan plan = ended.plan;
  plan.run = std::move(run);
  plan.attempt += 1;
  if (ended.phase == Phase::missed) {
    plan.attempts += 1;  // the attempt that never began is not counted
    plan.begin_at = now;
  } else {
    plan.begin_at = now + back_off(ended.plan.attempt, kRetryCap);
  }
  plan.now = true;
  return plan;
}

}  // namespace lockstep::run
