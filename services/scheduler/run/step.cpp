#include "step.hpp"

#include <algorithm>
#include <set>

#include "course.hpp"
#include "successor.hpp"

namespace lockstep::run {
namespace {

constexpr int kTries = 3;    // of a step that fails for no known reason, after commit
constexpr int kArmings = 5;  // with `now`: how often arming may outlast its guess
constexpr Span kMoveMoment = 20 * kMillisecond;
constexpr Span kChoreCap = 300 * kSecond;

bool chore(Act act) {
  return act == Act::keep || act == Act::keep_manifest || act == Act::drop ||
         act == Act::drop_transfer;
}

class Advance : private Course {
 public:
  Advance(State& state, Effects& effects, const Input& input)
      : Course(state, effects, input.now), may_transfer_(input.may_transfer) {}

  void operator()(const Begin&) {
    if (state_.phase != Phase::scheduled) return;
    if (moment_passed()) {
      miss();
      return;
    }
    if (state_.plan.before_hook) {
      enter(Phase::before);
      ask({Act::before, 0, ""});
    } else {
      start_arming();
    }
  }

  void operator()(const Tick&) {
    if (state_.phase == Phase::scheduled) {
      if (moment_passed()) miss();
      return;
    }
    if (late_deadline()) return;
    ask_again(may_transfer_);
    proceed();
  }

  void operator()(const Answer& answer) {
    const StepState* entry = state_.find(answer.key);
    if (entry == nullptr || entry->status != StepState::Status::asked ||
        entry->attempt != answer.attempt)
      return;
    if (const auto* facts = std::get_if<Facts>(&answer.outcome))
      record(Done{answer.key, *facts});
    else
      failed(answer.key, std::get<Failure>(answer.outcome));
    proceed();
  }

  void operator()(const Refuse& refuse) {
    if (state_.phase == Phase::scheduled) turn(Phase::failed, refuse.failure);
  }

  void operator()(const Abort&) {
    if (state_.phase >= Phase::seal) return;
    turn(Phase::aborted, {"run-aborted", "a user aborted the run", state_.plan.service, "", true});
  }

  void operator()(const Nudge&) {
    for (const StepKey& key : keys_with(StepState::Status::waiting)) record(Retimed{key, now_});
    ask_again(may_transfer_);
    proceed();
  }

  void operator()(const Superseded&) {
    for (const auto status : {StepState::Status::waiting, StepState::Status::asked}) {
      for (const StepKey& key : keys_with(status))
        if (key.act == Act::keep || key.act == Act::keep_manifest) let_go(key);
    }
    proceed();
  }

  void operator()(const Restarted&) {
    switch (state_.phase) {
      case Phase::scheduled:
        if (moment_passed()) miss();
        return;
      case Phase::before:
      case Phase::arm:
        if (moment_passed()) {
          turn(Phase::missed, {"run-missed", "the scheduler was not running at the moment",
                               state_.plan.service, "", true});
          return;
        }
        break;
      case Phase::raise:
      case Phase::pin:
        // The one thing that is never resumed: nobody can say any more what the pins would show.
        turn(Phase::failed, {"pin-failed", "the scheduler stopped while pins were under way",
                             state_.plan.service, "", true});
        return;
      default:
        break;
    }
    for (const StepKey& key : keys_with(StepState::Status::asked)) repeat(key);
    if (late_deadline()) return;
    ask_again(may_transfer_);
    proceed();
  }

 private:
  bool moment_passed() const { return !state_.plan.now && now_ > state_.moment; }

  void miss() {
    record(Turned{Phase::missed,
                  {"run-missed", "the moment passed before the run could begin",
                   state_.plan.service, "", true}});
    enter(Phase::missed);
  }

  bool late_deadline() {
    if (state_.phase >= Phase::seal || state_.began_at == 0 ||
        now_ < state_.began_at + state_.plan.deadline)
      return false;
    std::string what = "the run did not end within its deadline";
    if (const std::string waited = waited_for(); !waited.empty())
      what += "; it waited for " + waited;
    turn(Phase::failed, {"deadline", what, state_.plan.service, "", true});
    return true;
  }

  // The run cannot succeed any more: remove what it made, then end as `ending`.
  void turn(Phase ending, Failure failure) {
    for (const StepKey& key : keys_with(StepState::Status::asked)) let_go(key);
    for (const StepKey& key : keys_with(StepState::Status::waiting)) let_go(key);
    record(Turned{ending, std::move(failure)});
    enter(Phase::drop);
    const bool moved = state_.find({Act::transfer, 0, state_.plan.mover()}) != nullptr;
    for (const std::string& agent : agents_of(state_.plan))
      if (state_.find({Act::arm, 0, agent}) != nullptr) ask({Act::drop, 0, agent});
    if (moved) {
      const std::set<std::string> movers = {state_.plan.sender, state_.plan.receiver,
                                            state_.plan.registrar};
      for (const std::string& agent : movers) ask({Act::drop_transfer, 0, agent});
    }
    proceed();
  }

  void failed(const StepKey& key, const Failure& failure) {
    const int failures = state_.steps.at(key).failures + 1;
    if (chore(key.act)) {
      record(StepFailed{key, failure, now_ + back_off(failures, kChoreCap)});
      return;
    }
    if (key.act == Act::after) {
      record(StepFailed{key, failure, std::nullopt});
      return;
    }
    if (key.act == Act::seal) {  // in doubt until the registrar says sealed or refused
      record(StepFailed{key, failure, now_ + back_off(failures, kRetryCap)});
      return;
    }
    // An agent that answers while nothing moves is not away: its pins will not become durable.
    const bool stuck = key.act == Act::commit && failure.code == "stalled" && failure.reached;
    if (!stuck && (key.act == Act::commit || key.act == Act::transfer)) {
      const Patience left = patience(failure);
      if (left == Patience::deadline || (left == Patience::limited && failures < kTries)) {
        record(StepFailed{key, failure, now_ + back_off(failures, kRetryCap)});
        return;
      }
    }
    record(StepFailed{key, failure, std::nullopt});
    turn(Phase::failed, failure);
  }

  // Goes as far as what is known allows.
  void proceed() {
    while (true) {
      const Phase before = state_.phase;
      proceed_once();
      if (state_.phase == before || terminal(state_.phase)) return;
    }
  }

  void proceed_once() {
    switch (state_.phase) {
      case Phase::scheduled:
        return;
      case Phase::before:
        if (all_done(Act::before)) start_arming();
        return;
      case Phase::arm:
        if (all_done(Act::arm)) armed();
        return;
      case Phase::raise:
        if (all_done(Act::raise)) pin(0);
        return;
      case Phase::pin:
        pinned();
        return;
      case Phase::lower:
        lower();
        return;
      case Phase::commit:
        if (all_done(Act::commit)) committed();
        return;
      case Phase::transfer:
        transfer();
        return;
      case Phase::seal:
        sealed();
        return;
      case Phase::keep:
        if (tried_all(Act::keep, Act::keep_manifest)) finish();
        return;
      case Phase::drop:
        if (tried_all(Act::drop, Act::drop_transfer)) finish();
        return;
      case Phase::after: {
        const StepState* after = state_.find({Act::after, 0, ""});
        if (after != nullptr && after->status != StepState::Status::asked) enter(state_.ending);
        return;
      }
      case Phase::complete:
      case Phase::failed:
      case Phase::aborted:
      case Phase::missed:
        return;
    }
  }

  void start_arming() {
    if (state_.plan.now)
      record(MomentFixed{now_ + state_.plan.arm_lead + lead(state_.plan)});
    else
      record(MomentFixed{state_.plan.scheduled});
    enter(Phase::arm);
    for (const std::string& agent : agents_of(state_.plan)) ask({Act::arm, 0, agent});
  }

  void armed() {
    const Plan& plan = state_.plan;
    const Verdict clocks = judge_clocks(plan, evidence(state_));
    if (!clocks.good) {
      turn(Phase::failed, {clocks.code, clocks.reason, clocks.where, "", true});
      return;
    }
    const bool late = now_ + lead(plan) > state_.moment + slack(plan);
    if (late && plan.now) {
      arm_again();
      return;
    }
    if (now_ > state_.moment + plan.max_lateness) {
      turn(Phase::failed, {"judge-lateness", "arming ended after the moment", plan.service,
                           "begin to arm earlier: arm_ahead in lockstep.yaml", true});
      return;
    }
    if (any_fence(plan)) {
      enter(Phase::raise);
      for (const std::string& agent : agents_of(plan)) {
        if (std::any_of(plan.members.begin(), plan.members.end(), [&](const Member& member) {
              return member.fenced && member.agent == agent;
            }))
          ask({Act::raise, 0, agent});
      }
    } else {
      pin(0);
    }
  }

  // The moment stands in instruction.snapshot: where arming outlasted it, a later one is told to
  // all.
  void arm_again() {
    Instant asked = now_;
    int armings = 0;
    for (const auto& [key, entry] : state_.steps) {
      if (key.act != Act::arm) continue;
      asked = std::min(asked, entry.asked_at);
      armings = std::max(armings, entry.attempt);
    }
    if (armings >= kArmings) {
      turn(Phase::failed, {"judge-lateness", "arming took longer each time it was tried",
                           state_.plan.service, "", true});
      return;
    }
    // Agents that are armed have only a moment to move: that takes a message there and back. One
    // that took its time again gets more of it.
    const Span took = now_ - asked;
    const Span guess = armings == 1 ? kMoveMoment : took + took / 2 + kMoveMoment;
    record(MomentFixed{now_ + guess + lead(state_.plan)});
    for (const std::string& agent : agents_of(state_.plan)) ask({Act::arm, 0, agent});
  }

  void pin(int stage) {
    enter(Phase::pin);
    const auto stages = pin_stages(state_.plan);
    const auto& names = stages[static_cast<std::size_t>(stage)];
    std::set<std::string> asked;
    for (const Member& member : state_.plan.members) {
      if (std::find(names.begin(), names.end(), member.name) == names.end()) continue;
      if (asked.insert(member.agent).second) ask({Act::pin, stage, member.agent});
    }
  }

  void pinned() {
    const int stages = static_cast<int>(pin_stages(state_.plan).size());
    for (int stage = 0; stage < stages; ++stage) {
      if (all_done(Act::pin, stage)) continue;
      const bool asked = std::any_of(state_.steps.begin(), state_.steps.end(), [&](const auto& at) {
        return at.first.act == Act::pin && at.first.stage == stage;
      });
      if (!asked) pin(stage);
      return;
    }
    enter(Phase::lower);
  }

  void lower() {
    const bool fences = std::any_of(state_.steps.begin(), state_.steps.end(),
                                    [](const auto& at) { return at.first.act == Act::raise; });
    if (fences && !all_done(Act::lower)) {
      if (now_ < lower_from(state_)) return;
      for (const StepKey& raised : keys_with(StepState::Status::done)) {
        if (raised.act == Act::raise && state_.find({Act::lower, 0, raised.agent}) == nullptr)
          ask({Act::lower, 0, raised.agent});
      }
      return;
    }
    const Verdict verdict = judge(state_.plan, state_.moment, evidence(state_));
    record(Judged{verdict});
    if (!verdict.good) {
      turn(Phase::failed, {verdict.code, verdict.reason, verdict.where, "", true});
      return;
    }
    enter(Phase::commit);
    for (const std::string& agent : agents_of(state_.plan)) ask({Act::commit, 0, agent});
  }

  void committed() {
    for (const StepKey& key : keys_with(StepState::Status::done)) {
      if (key.act != Act::commit) continue;
      if (!std::get<Committed>(state_.steps.at(key).facts).committed) {
        turn(Phase::failed, {"pin-expired", "the pins' lease ran out before they were committed",
                             key.agent, "", true});
        return;
      }
    }
    enter(Phase::transfer);
  }

  void transfer() {
    const StepKey key{Act::transfer, 0, state_.plan.mover()};
    if (state_.find(key) == nullptr) {
      if (may_transfer_) ask(key);
      return;
    }
    if (!all_done(Act::transfer)) return;
    enter(Phase::seal);
    ask({Act::seal, 0, state_.plan.registrar});
  }

  void sealed() {
    if (!all_done(Act::seal)) return;
    const StepKey key{Act::seal, 0, state_.plan.registrar};
    const Sealed& answer = std::get<Sealed>(state_.steps.at(key).facts);
    if (!answer.sealed) {
      turn(Phase::failed,
           {"seal-refused", answer.why.empty() ? "the registrar had refused the run" : answer.why,
            key.agent, "", true});
      return;
    }
    enter(Phase::keep);
    for (const std::string& agent : agents_of(state_.plan)) ask({Act::keep, 0, agent});
    ask({Act::keep_manifest, 0, state_.plan.sender});
  }

  void finish() {
    const bool begun = state_.find({Act::before, 0, ""}) != nullptr ||
                       std::any_of(state_.steps.begin(), state_.steps.end(),
                                   [](const auto& at) { return at.first.act == Act::arm; });
    if (state_.plan.after_hook && begun) {
      enter(Phase::after);
      ask({Act::after, 0, ""});
    } else {
      enter(state_.ending);
    }
  }

  const bool may_transfer_;
};

}  // namespace

std::pair<State, Effects> step(State state, const Input& input) {
  Effects effects;
  std::visit(Advance{state, effects, input}, input.what);
  return {std::move(state), std::move(effects)};
}

std::optional<Instant> next_wake(const State& state) {
  std::optional<Instant> wake;
  const auto at = [&](Instant instant) { wake = wake ? std::min(*wake, instant) : instant; };
  if (state.phase == Phase::scheduled && !state.plan.now) at(state.moment + 1);
  if (!terminal(state.phase) && state.phase != Phase::scheduled && state.phase < Phase::seal)
    at(state.began_at + state.plan.deadline);
  if (state.phase == Phase::lower) {
    const bool asked = std::any_of(state.steps.begin(), state.steps.end(),
                                   [](const auto& step) { return step.first.act == Act::lower; });
    if (!asked) at(lower_from(state));
  }
  for (const auto& [key, entry] : state.steps)
    if (entry.status == StepState::Status::waiting) at(entry.retry_at);
  return wake;
}

}  // namespace lockstep::run
