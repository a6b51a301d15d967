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
    if (const auto* raised = std::get_if<run::Raised>(&step.facts)) {
      for (const auto& set : raised->sets)
        lead.raise = std::max(lead.raise, set.raised.acknowledged - set.raised.requested);
    }
  }
  lead.arm = with_margin(lead.arm);
  if (lead.raise > 0) lead.raise = with_margin(lead.raise);
  known_[ended.plan.service] = lead;
}

}  // namespace lockstep::scheduler
