#include "services/health-monitor/condition.hpp"

namespace lockstep::health {

using identity::Health;

Verdict judge(const Finding& finding) {
  std::string silent;
  bool anybody = finding.registrar_answers;
  for (const auto& agent : finding.agents) {
    if (agent.answers) {
      anybody = true;
    } else {
      silent += (silent.empty() ? "" : ", ") + agent.name;
    }
  }
  if (!anybody) return {Health::unreachable, "no agent of the cluster answers"};
  if (!finding.registrar_answers) return {Health::failed, "the registrar does not answer"};
  for (const auto& store : finding.stores) {
    if (!store.good) return {Health::failed, store.name + ": " + store.detail};
  }
  if (!silent.empty()) return {Health::degraded, "no answer from " + silent};
  return {Health::healthy, {}};
}

bool Condition::take(const Verdict& verdict) {
  if (!known_) {
    counts_ = verdict;
    known_ = verdict.health == Health::healthy || ++times_ >= kWorseAfter;
    if (known_) times_ = 0;
    return known_;
  }
  if (verdict.health == counts_.health) {
    times_ = 0;
    counts_.reason = verdict.reason;
    return false;
  }
  times_ = verdict.health == candidate_.health ? times_ + 1 : 1;
  candidate_ = verdict;
  const bool worse = verdict.health > counts_.health;
  if (times_ < (worse ? kWorseAfter : kBetterAfter)) return false;
  times_ = 0;
  counts_ = verdict;
  return true;
}

}  // namespace lockstep::health
