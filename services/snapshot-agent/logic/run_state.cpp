#include "run_state.hpp"

#include <algorithm>

namespace lockstep::snapshot {

namespace {

Decision refuse(std::string code, std::string why) {
  return {Answer::refuse, std::move(code), std::move(why)};
}

}  // namespace

const char* over_name(Over over) {
  switch (over) {
    case Over::no:
      return "no";
    case Over::dropped:
      return "dropped";
    case Over::expired:
      return "expired";
    case Over::lost:
      return "lost";
    case Over::failed:
      return "failed";
  }
  return "no";
}

std::optional<Over> over_from_name(const std::string& name) {
  for (const Over over : {Over::no, Over::dropped, Over::expired, Over::lost, Over::failed}) {
    if (name == over_name(over)) return over;
  }
  return std::nullopt;
}

RunState RunState::ended(Over over) {
  RunState state;
  state.over_ = over;
  return state;
}

RunState RunState::committed_before() {
  RunState state;
  state.armed_ = true;
  state.committed_ = true;
  state.done_["commit"] = true;
  return state;
}

Decision RunState::decide(const Question& question) const {
  if (const auto known = attempts_.find(question.step);
      known != attempts_.end() && question.attempt < known->second) {
    return refuse("cancelled", "attempt " + std::to_string(known->second) + " of the step " +
                                   question.step + " is known; this one is older");
  }
  // A drop is taken at any time, and done as often as it is asked for.
  if (question.ask == Ask::drop) return {busy() ? Answer::wait_then_act : Answer::act, {}, {}};
  if (over_ != Over::no) return decide_over(question);
  if (drop_waits_) return refuse("pin-dropped", "the run is being dropped");
  if (busy_ == question.step) return {Answer::accepted, {}, {}};
  if (done_.contains(question.step)) return {Answer::again, {}, {}};
  if (busy()) {
    return refuse("run-busy", "the step " + busy_ + " of the run is under way");
  }
  if (question.deadline && *question.deadline < question.now) {
    return refuse("deadline", "the step's deadline had passed when it arrived");
  }
  if (question.ask == Ask::arm) return {Answer::act, {}, {}};
  if (!armed_) return refuse("pin-lost", "the run was never armed here, or the agent forgot it");
  if (question.ask == Ask::commit) return decide_commit();
  if (question.ask == Ask::keep) {
    if (committed_) return {Answer::act, {}, {}};
    return refuse("guard", "the run's pins are not committed");
  }
  if (committed_) return refuse("guard", "the run's pins are committed");
  if (question.ask == Ask::raise) return decide_raise(question);
  if (question.ask == Ask::pin) return decide_pin(question);
  return {Answer::act, {}, {}};  // lower
}

Decision RunState::decide_over(const Question& question) const {
  switch (over_) {
    case Over::expired:
      if (question.ask == Ask::commit) return {Answer::expired, {}, {}};
      return refuse("pin-expired", "the run's lease ran out and its pins were dropped");
    case Over::lost:
      return refuse("pin-lost", "the agent was restarted before the run's pins were committed");
    case Over::failed:
      return refuse("pin-failed", "a step of the run failed and its pins were dropped");
    default:
      return refuse("pin-dropped", "the run was dropped before");
  }
}

Decision RunState::decide_raise(const Question& question) const {
  for (const std::string& name : question.sets) {
    const auto set = sets_.find(name);
    if (set == sets_.end()) return refuse("arm-refused", "the set " + name + " was not armed");
    if (set->second.pinned) return refuse("guard", "the set " + name + " is pinned already");
    if (set->second.fence_was_up) {
      return refuse("fence-failed", "the fence of the set " + name + " was up before");
    }
  }
  return {Answer::act, {}, {}};
}

Decision RunState::decide_pin(const Question& question) const {
  for (const std::string& name : question.sets) {
    const auto set = sets_.find(name);
    if (set == sets_.end()) return refuse("arm-refused", "the set " + name + " was not armed");
    if (set->second.pinned) return refuse("guard", "the set " + name + " is pinned already");
    if (set->second.wants_fence && !set->second.fence_up) {
      return refuse("fence-failed", set->second.fence_was_up
                                        ? "the fence of the set " + name + " has fallen"
                                        : "the fence of the set " + name + " was not raised");
    }
  }
  return {Answer::act, {}, {}};
}

Decision RunState::decide_commit() const {
  if (committed_) return {Answer::again, {}, {}};
  for (const auto& [name, set] : sets_) {
    if (!set.pinned) return refuse("pin-failed", "the set " + name + " was never pinned");
    if (set.fence_up) return refuse("guard", "the fence of the set " + name + " still stands");
  }
  return {Answer::act, {}, {}};
}

void RunState::begin(const Question& question) {
  busy_ = question.step;
  int& attempt = attempts_[question.step];
  attempt = std::max(attempt, question.attempt);
}

void RunState::done(const std::string& step) {
  done_[step] = true;
  if (busy_ == step) busy_.clear();
}

void RunState::failed(const std::string& step) {
  if (busy_ == step) busy_.clear();
}

void RunState::armed(const std::map<std::string, SetState>& sets, std::int64_t moment,
                     std::int64_t lease) {
  armed_ = true;
  sets_ = sets;
  lease_ = lease;
  lease_until_ = moment + lease;
}

void RunState::moment_moved(std::int64_t moment) {
  lease_until_ = std::max(lease_until_, moment + lease_);
}

void RunState::fence_raised(const std::string& set) {
  sets_[set].fence_up = true;
  sets_[set].fence_was_up = true;
}

void RunState::fence_lowered(const std::string& set) { sets_[set].fence_up = false; }

void RunState::pinned(const std::vector<std::string>& sets, std::int64_t now) {
  for (const std::string& name : sets) sets_[name].pinned = true;
  lease_until_ = std::max(lease_until_, now + lease_);
}

void RunState::committed() { committed_ = true; }

void RunState::ended_as(Over over) {
  over_ = over;
  drop_waits_ = false;
  busy_.clear();
}

bool RunState::lease_over(std::int64_t now) const {
  return armed_ && !committed_ && over_ == Over::no && !busy() && now > lease_until_;
}

}  // namespace lockstep::snapshot
