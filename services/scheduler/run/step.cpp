#include "step.hpp"

#include <algorithm>
#include <set>

namespace lockstep::run {
namespace {

constexpr int kTries = 3;    // of a step that fails for no known reason, after commit
constexpr int kArmings = 5;  // with `now`: how often arming may outlast its guess
constexpr Span kSilence = 10 * kSecond;
constexpr Span kPatientSilence = 60 * kSecond;
constexpr Span kLateAtMost = 100 * kMillisecond;  // with `now`: rather this late than armed again
constexpr Span kMoveMoment = 20 * kMillisecond;
constexpr Span kRetryCap = 30 * kSecond;
constexpr Span kChoreCap = 300 * kSecond;

Span back_off(int failures, Span cap) {
  Span span = kSecond;
  for (int n = 1; n < failures && span < cap; ++n) span *= 2;
  return std::min(span, cap);
}

bool chore(Act act) {
  return act == Act::keep || act == Act::keep_manifest || act == Act::drop ||
         act == Act::drop_transfer;
}

bool any_fence(const Plan& plan) {
  return std::any_of(plan.members.begin(), plan.members.end(),
                     [](const Member& member) { return member.fenced; });
}

Span longest_fence(const Plan& plan) {
  Span longest = 0;
  for (const Member& member : plan.members) longest = std::max(longest, member.fence_timeout);
  return longest;
}

Span lead(const Plan& plan) { return any_fence(plan) ? plan.raise_lead : 0; }

// How late a pin may begin without a new moment.
Span slack(const Plan& plan) { return std::min(kLateAtMost, plan.max_lateness / 4); }

// Across hosts an act must lie so far after another that both clocks' errors cannot turn them
// round.
Span largest_error(const State& state) {
  const auto all = evidence(state);
  Span error = 0;
  for (const Evidence& member : all) error = std::max(error, clock_error(member, all));
  return error;
}

Span longest_pin(const State& state) {
  Span longest = 0;
  for (const auto& [key, entry] : state.steps) {
    if (const auto* armed = std::get_if<Armed>(&entry.facts))
      for (const Armed::Set& set : armed->sets) longest = std::max(longest, set.pin);
  }
  return longest;
}

// No pin is requested before this.
Instant pins_from(const State& state, int stage) {
  const auto all = evidence(state);
  const Span error = largest_error(state);
  const Span gap = error > 0 ? error + kMillisecond : 0;
  Instant from = state.moment;
  for (const Evidence& member : all) {
    const Span own = clock_error(member, all);
    if (member.raised) from = std::max(from, member.raise.raised.acknowledged + own + gap);
    if (member.pinned && member.stage < stage)
      from = std::max(from, member.pin.pinned.acknowledged + own + gap);
  }
  return from;
}

// No fence is lowered before this: an instant of the control device's clock, reached that long
// after it heard of the last pin, which is no sooner than that long after the pin.
Instant lower_from(const State& state) {
  Instant heard = 0;
  for (const auto& [key, entry] : state.steps)
    if (key.act == Act::pin) heard = std::max(heard, entry.ended_at);
  const Span error = largest_error(state);
  return error > 0 ? heard + 4 * error + kMillisecond : heard;
}

Ask make_ask(const State& state, const StepKey& key, Instant now) {
  const Plan& plan = state.plan;
  Ask ask;
  ask.key = key;
  ask.attempt = state.steps.at(key).attempt;
  ask.silence = kSilence;
  ask.deadline = kPatientSilence;
  const auto from_now = [&](Instant instant) { return std::max<Span>(0, instant - now); };
  switch (key.act) {
    case Act::before:
    case Act::after:
      ask.silence = ask.deadline = plan.hook_timeout + 5 * kSecond;
      break;
    case Act::arm:
      ask.deadline = plan.now ? plan.deadline : from_now(state.moment) + plan.max_lateness;
      break;
    case Act::raise:
      ask.at = state.moment - lead(plan);
      for (const Member& member : plan.members)
        if (member.fenced && member.agent == key.agent) ask.sets.push_back(member.name);
      ask.silence = ask.deadline = from_now(ask.at) + longest_fence(plan) + 2 * kSecond;
      break;
    case Act::pin:
      ask.at = pins_from(state, key.stage);
      ask.sets = pin_stages(plan)[static_cast<std::size_t>(key.stage)];
      ask.silence = ask.deadline =
          from_now(ask.at) + longest_fence(plan) + 3 * longest_pin(state) + 2 * kSecond;
      break;
    case Act::lower:
      ask.silence = ask.deadline = longest_fence(plan) + 2 * kSecond;
      break;
    case Act::commit:
      ask.deadline = plan.deadline;  // volatile pins are copied out
      break;
    case Act::transfer:
      ask.silence = plan.stall;
      ask.deadline = from_now(state.began_at + plan.deadline);
      break;
    case Act::seal:
      ask.deadline = plan.deadline;
      break;
    case Act::keep:
    case Act::keep_manifest:
    case Act::drop:
    case Act::drop_transfer:
      ask.deadline = 10 * kPatientSilence;
      break;
  }
  return ask;
}

class Advance {
 public:
  Advance(State& state, Effects& effects, const Input& input)
      : state_(state), effects_(effects), now_(input.now), may_transfer_(input.may_transfer) {}

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
    ask_again();
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
    ask_again();
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
    for (const StepKey& key : keys_with(StepState::Status::asked))
      effects_.asks.push_back(make_ask(state_, key, now_));
    if (late_deadline()) return;
    ask_again();
    proceed();
  }

 private:
  template <class Fact>
  void record(Fact fact) {
    effects_.records.push_back({now_, std::move(fact)});
    fold(state_, effects_.records.back());
  }

  void enter(Phase phase) { record(Entered{phase}); }

  void ask(const StepKey& key) {
    const StepState* before = state_.find(key);
    int attempt = 1;
    if (before != nullptr) {
      const bool answered = before->status == StepState::Status::done ||
                            (before->failures > 0 && before->failure.reached);
      attempt = before->attempt + (answered ? 1 : 0);
    }
    record(Asked{key, attempt});
    effects_.asks.push_back(make_ask(state_, key, now_));
  }

  void let_go(const StepKey& key) {
    if (state_.steps.at(key).status == StepState::Status::asked) effects_.let_go.push_back(key);
    record(LetGo{key});
  }

  std::vector<StepKey> keys_with(StepState::Status status) const {
    std::vector<StepKey> keys;
    for (const auto& [key, entry] : state_.steps)
      if (entry.status == status) keys.push_back(key);
    return keys;
  }

  bool moment_passed() const { return !state_.plan.now && now_ > state_.moment; }

  void miss() {
    record(Turned{Phase::missed,
                  {"run-missed", "the moment passed before the run could begin",
                   state_.plan.service, "", true}});
    enter(Phase::missed);
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

  bool late_deadline() {
    if (state_.phase >= Phase::seal || state_.began_at == 0 ||
        now_ < state_.began_at + state_.plan.deadline)
      return false;
    std::string waited;
    for (const auto& [key, entry] : state_.steps) {
      if (entry.status != StepState::Status::asked && entry.status != StepState::Status::waiting)
        continue;
      waited += (waited.empty() ? "; it waited for " : ", ") + step_name(key) +
                (key.agent.empty() ? "" : " of " + key.agent);
      if (entry.failures > 0) waited += " (" + entry.failure.what + ")";
    }
    turn(Phase::failed, {"deadline", "the run did not end within its deadline" + waited,
                         state_.plan.service, "", true});
    return true;
  }

  void ask_again() {
    for (const StepKey& key : keys_with(StepState::Status::waiting)) {
      if (state_.steps.at(key).retry_at > now_) continue;
      if (key.act == Act::transfer && !may_transfer_) continue;
      ask(key);
    }
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
    if (key.act == Act::commit || key.act == Act::transfer) {
      const Patience left = patience(failure);
      if (left == Patience::deadline || (left == Patience::limited && failures < kTries)) {
        record(StepFailed{key, failure, now_ + back_off(failures, kRetryCap)});
        return;
      }
    }
    record(StepFailed{key, failure, std::nullopt});
    turn(Phase::failed, failure);
  }

  // Every step of `act` (and stage) that was asked has ended well.
  bool all_done(Act act, int stage = 0) const {
    bool any = false;
    for (const auto& [key, entry] : state_.steps) {
      if (key.act != act || key.stage != stage) continue;
      if (entry.status != StepState::Status::done) return false;
      any = true;
    }
    return any;
  }

  // Every chore of these acts has had an answer of some kind.
  bool tried_all(Act one, Act other) const {
    for (const auto& [key, entry] : state_.steps) {
      if ((key.act == one || key.act == other) && entry.status == StepState::Status::asked &&
          entry.failures == 0)
        return false;
    }
    return true;
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

  State& state_;
  Effects& effects_;
  Instant now_;
  bool may_transfer_;
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
