#include "ask.hpp"

#include <algorithm>

namespace lockstep::run {
namespace {

constexpr Span kSilence = 10 * kSecond;
constexpr Span kPatientSilence = 60 * kSecond;
constexpr Span kLateAtMost = 100 * kMillisecond;  // with `now`: rather this late than armed again

Span longest_fence(const Plan& plan) {
  Span longest = 0;
  for (const Member& member : plan.members) longest = std::max(longest, member.fence_timeout);
  return longest;
}

// Across hosts an act must lie so far after another that both clocks' errors cannot turn them
// round.
Span largest_error(const State& state) {
  const auto all = of_the_moment(evidence(state));
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
  const auto all = of_the_moment(evidence(state));
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

}  // namespace

bool any_fence(const Plan& plan) {
  return std::any_of(plan.members.begin(), plan.members.end(),
                     [](const Member& member) { return member.fenced; });
}

Span lead(const Plan& plan) { return any_fence(plan) ? plan.raise_lead : 0; }

Span slack(const Plan& plan) { return std::min(kLateAtMost, plan.max_lateness / 4); }

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
      ask.stall = plan.stall;
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
      ask.stall = plan.stall;
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

}  // namespace lockstep::run
