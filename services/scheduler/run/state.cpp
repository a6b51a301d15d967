#include "state.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace lockstep::run {
namespace {

constexpr std::array<const char*, 16> kPhases = {
    "scheduled", "before", "arm",  "raise", "pin",      "lower",  "commit",  "transfer",
    "seal",      "keep",   "drop", "after", "complete", "failed", "aborted", "missed"};

constexpr std::array<const char*, 13> kActs = {
    "before", "arm",  "raise",         "pin",  "lower",         "commit", "transfer",
    "seal",   "keep", "keep.manifest", "drop", "drop.transfer", "after"};

template <class Enum, std::size_t N>
std::optional<Enum> from_name(const std::array<const char*, N>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

struct Folder {
  State& state;
  Instant at;

  StepState& of(const StepKey& key) { return state.steps[key]; }

  void operator()(const MomentFixed& fact) { state.moment = fact.moment; }
  void operator()(const Entered& fact) {
    if (terminal(state.phase)) return;  // final
    if (state.began_at == 0 && fact.phase < Phase::drop) state.began_at = at;
    state.phase = fact.phase;
    if (terminal(fact.phase)) state.ended_at = at;
  }
  void operator()(const Asked& fact) {
    StepState& entry = of(fact.key);
    entry.status = StepState::Status::asked;
    entry.attempt = fact.attempt;
    entry.asked_at = at;
  }
  void operator()(const Done& fact) {
    StepState& entry = of(fact.key);
    entry.status = StepState::Status::done;
    entry.facts = fact.facts;
    entry.ended_at = at;
  }
  void operator()(const StepFailed& fact) {
    StepState& entry = of(fact.key);
    entry.failures += 1;
    entry.failure = fact.failure;
    entry.ended_at = at;
    entry.status = fact.retry_at ? StepState::Status::waiting : StepState::Status::failed;
    entry.retry_at = fact.retry_at.value_or(0);
  }
  void operator()(const Retimed& fact) { of(fact.key).retry_at = fact.retry_at; }
  void operator()(const LetGo& fact) {
    StepState& entry = of(fact.key);
    entry.status = StepState::Status::let_go;
    entry.ended_at = at;
  }
  void operator()(const Judged& fact) { state.verdict = fact.verdict; }
  void operator()(const Turned& fact) {
    if (terminal(state.phase)) return;
    state.ending = fact.ending;
    state.failure = fact.failure;
  }
};

template <class Set>
const Set* set_named(const std::vector<Set>& sets, const std::string& name) {
  for (const Set& set : sets)
    if (set.name == name) return &set;
  return nullptr;
}

}  // namespace

const char* phase_name(Phase phase) { return kPhases[static_cast<std::size_t>(phase)]; }
std::optional<Phase> phase_from_name(const std::string& name) {
  return from_name<Phase>(kPhases, name);
}
const char* act_name(Act act) { return kActs[static_cast<std::size_t>(act)]; }
std::optional<Act> act_from_name(const std::string& name) { return from_name<Act>(kActs, name); }

std::string step_name(const StepKey& key) {
  std::string name = act_name(key.act);
  if (key.stage > 0) name += "." + std::to_string(key.stage + 1);
  return name;
}

const char* status_name(StepState::Status status) {
  constexpr std::array<const char*, 5> kNames = {"asked", "done", "waiting", "failed", "let-go"};
  return kNames[static_cast<std::size_t>(status)];
}

const StepState* State::find(const StepKey& key) const {
  const auto found = steps.find(key);
  return found == steps.end() ? nullptr : &found->second;
}

State planned(Plan plan) {
  State state;
  state.moment = plan.scheduled;
  state.plan = std::move(plan);
  return state;
}

void fold(State& state, const Record& record) { std::visit(Folder{state, record.at}, record.what); }

std::vector<Evidence> evidence(const State& state) {
  std::vector<Evidence> all;
  for (const Member& member : state.plan.members) {
    Evidence one;
    one.member = &member;
    for (const auto& [key, entry] : state.steps) {  // in the order of acts and stages
      if (key.agent != member.agent || entry.status != StepState::Status::done) continue;
      const auto look = [&, before = key.act < Act::pin,
                         heard = entry.ended_at](const HostClock& clock) {
        one.looks.push_back({clock, heard, before});
      };
      if (const auto* armed = std::get_if<Armed>(&entry.facts)) look(armed->clock);
      if (const auto* raised = std::get_if<Raised>(&entry.facts)) {
        look(raised->clock);
        if (const auto* set = set_named(raised->sets, member.name)) {
          one.raised = true;
          one.raise = *set;
        }
      }
      if (const auto* pinned = std::get_if<Pinned>(&entry.facts)) {
        look(pinned->clock);
        if (const auto* set = set_named(pinned->sets, member.name)) {
          one.pinned = true;
          one.pin = *set;
          one.stage = key.stage;
        }
      }
      if (const auto* lowered = std::get_if<Lowered>(&entry.facts)) {
        look(lowered->clock);
        if (const auto* set = set_named(lowered->sets, member.name)) {
          one.lowered = true;
          one.lower = *set;
        }
      }
    }
    all.push_back(std::move(one));
  }
  return all;
}

bool in_doubt(const State& state) {
  const StepState* seal = state.find({Act::seal, 0, state.plan.registrar});
  return seal != nullptr && seal->status != StepState::Status::done;
}

bool pending(const State& state) {
  if (state.phase == Phase::transfer) {
    const StepState* transfer = state.find({Act::transfer, 0, state.plan.mover()});
    return transfer == nullptr || transfer->failures > 0;
  }
  if (state.phase == Phase::seal) {
    const StepState* seal = state.find({Act::seal, 0, state.plan.registrar});
    return seal != nullptr && seal->failures > 0;
  }
  return false;
}

bool has_chores(const State& state) {
  return std::any_of(state.steps.begin(), state.steps.end(), [](const auto& step) {
    return step.second.status == StepState::Status::asked ||
           step.second.status == StepState::Status::waiting;
  });
}

}  // namespace lockstep::run
