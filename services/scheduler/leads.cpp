#include "services/scheduler/leads.hpp"

#include <algorithm>
#include <variant>

namespace lockstep::scheduler {

namespace {

// A margin over what the last run needed.
run::Span with_margin(run::Span took) { return took + took / 4 + 5 * run::kMillisecond; }

}  // namespace

Result<Lead> Leads::of(const std::string& service) {
  const auto known = known_.find(service);
  if (known != known_.end()) return known->second;
  LOCKSTEP_TRY(const auto last, store_.newest_in(service, run::Phase::complete));
  if (last) learn(last->state);
  return known_[service];
}

void Leads::learn(const run::State& ended) {
  if (ended.phase != run::Phase::complete) return;
  Lead lead;
  for (const auto& [key, step] : ended.steps) {
    if (key.act == run::Act::arm) lead.arm = std::max(lead.arm, step.ended_at - step.asked_at);
    // From when they were to go up, or were asked for later than that, until their sets were ready
    // for the pins, which comes after what the agent says of each fence.
    if (std::holds_alternative<run::Raised>(step.facts)) {
      const run::Instant begun = std::max(step.asked_at, ended.moment - ended.plan.raise_lead);
      lead.raise = std::max(lead.raise, step.ended_at - begun);
    }
  }
  lead.arm = with_margin(lead.arm);
  if (lead.raise > 0) lead.raise = with_margin(lead.raise);
  known_[ended.plan.service] = lead;
}

}  // namespace lockstep::scheduler
