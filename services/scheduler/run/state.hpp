// State: where a run stands. It is a fold of the run's records and of nothing else, so that what
// was journaled is what is known after a crash.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "facts.hpp"
#include "failure.hpp"
#include "judge.hpp"
#include "plan.hpp"

namespace lockstep::run {

// In the order in which a good run passes them. `drop` is where a run that goes wrong removes what
// it made; `after` runs the policy's hook. The last four are terminal and final.
enum class Phase {
  scheduled,
  before,
  arm,
  raise,
  pin,
  lower,
  commit,
  transfer,
  seal,
  keep,
  drop,
  after,
  complete,
  failed,
  aborted,
  missed,
};
const char* phase_name(Phase phase);
std::optional<Phase> phase_from_name(const std::string& name);
inline bool terminal(Phase phase) { return phase >= Phase::complete; }

// What is asked of whom. Hooks are asked of the scheduler's own host (agent "").
enum class Act {
  before,
  arm,
  raise,
  pin,
  lower,
  commit,
  transfer,
  seal,
  keep,
  keep_manifest,
  drop,
  drop_transfer,
  after,
};
const char* act_name(Act act);
std::optional<Act> act_from_name(const std::string& name);

struct StepKey {
  Act act = Act::arm;
  int stage = 0;  // of Act::pin; else 0
  std::string agent;
  auto operator<=>(const StepKey&) const = default;
};
// As in envelopes and in `run show`: "arm", "pin", "pin.2" (the second stage), "seal".
std::string step_name(const StepKey& key);

struct StepState {
  enum class Status {
    asked,    // the intent stands; the answer does not
    done,     // final
    waiting,  // failed, and will be asked again at `retry_at`
    failed,   // final
    let_go,   // was asked, and nobody waits for the answer any more; final
  };
  Status status = Status::asked;
  int attempt = 1;
  int failures = 0;
  Instant asked_at = 0;
  Instant ended_at = 0;
  Instant retry_at = 0;
  Facts facts;
  Failure failure;  // the last one
};
const char* status_name(StepState::Status status);

// The records, each one fact, journaled before anything is done because of it.
struct MomentFixed {
  Instant moment = 0;
};
struct Entered {
  Phase phase = Phase::scheduled;
};
struct Asked {
  StepKey key;
  int attempt = 1;
};
struct Done {
  StepKey key;
  Facts facts;
};
struct StepFailed {
  StepKey key;
  Failure failure;
  std::optional<Instant> retry_at;
};
struct Retimed {
  StepKey key;
  Instant retry_at = 0;
};
struct LetGo {
  StepKey key;
};
struct Judged {
  Verdict verdict;
};
struct Turned {
  Phase ending = Phase::failed;
  Failure failure;
};  // why and to what it will end

struct Record {
  Instant at = 0;
  std::variant<MomentFixed, Entered, Asked, Done, StepFailed, Retimed, LetGo, Judged, Turned> what;
};

struct State {
  Plan plan;
  Phase phase = Phase::scheduled;
  Phase ending = Phase::complete;  // the terminal phase it is on the way to
  Instant moment = 0;
  Instant began_at = 0;
  Instant ended_at = 0;
  std::map<StepKey, StepState> steps;
  std::optional<Verdict> verdict;
  std::optional<Failure> failure;

  const StepState* find(const StepKey& key) const;
};

State planned(Plan plan);

// Requires a record that step() made for this very state (or for the state it had when it was
// journaled); a record that does not fit a terminal state leaves its phase as it is.
void fold(State& state, const Record& record);

// The evidence of every member, from the steps that are done.
std::vector<Evidence> evidence(const State& state);

// The seal was asked for and is not answered: only the registrar ends the run now.
bool in_doubt(const State& state);
// The pins are committed and the other side is away: another run of the service may begin.
bool pending(const State& state);
// Something is still to be told to an agent, though the run itself may be terminal.
bool has_chores(const State& state);

}  // namespace lockstep::run
