#include "course.hpp"

namespace lockstep::run {

void Course::ask(const StepKey& key) {
  const StepState* before = state_.find(key);
  int attempt = 1;
  if (before != nullptr) {
    const bool answered = before->status == StepState::Status::done ||
                          (before->failures > 0 && before->failure.reached);
    attempt = before->attempt + (answered ? 1 : 0);
  }
  record(Asked{key, attempt});
  repeat(key);
}

void Course::let_go(const StepKey& key) {
  if (state_.steps.at(key).status == StepState::Status::asked) effects_.let_go.push_back(key);
  record(LetGo{key});
}

void Course::ask_again(bool may_transfer) {
  for (const StepKey& key : keys_with(StepState::Status::waiting)) {
    if (state_.steps.at(key).retry_at > now_) continue;
    if (key.act == Act::transfer && !may_transfer) continue;
    ask(key);
  }
}

std::vector<StepKey> Course::keys_with(StepState::Status status) const {
  std::vector<StepKey> keys;
  for (const auto& [key, entry] : state_.steps)
    if (entry.status == status) keys.push_back(key);
  return keys;
}

bool Course::all_done(Act act, int stage) const {
  bool any = false;
  for (const auto& [key, entry] : state_.steps) {
    if (key.act != act || key.stage != stage) continue;
    if (entry.status != StepState::Status::done) return false;
    any = true;
  }
  return any;
}

bool Course::tried_all(Act one, Act other) const {
  for (const auto& [key, entry] : state_.steps) {
    if ((key.act == one || key.act == other) && entry.status == StepState::Status::asked &&
        entry.failures == 0)
      return false;
  }
  return true;
}

std::string Course::waited_for() const {
  std::string waited;
  for (const auto& [key, entry] : state_.steps) {
    if (entry.status != StepState::Status::asked && entry.status != StepState::Status::waiting)
      continue;
    waited += (waited.empty() ? "" : ", ") + step_name(key) +
              (key.agent.empty() ? "" : " of " + key.agent);
    if (entry.failures > 0) waited += " (" + entry.failure.what + ")";
  }
  return waited;
}

}  // namespace lockstep::run
