// The run logic: (state, input) -> (state, effects), without clock, socket or file.
//
// The caller journals `effects.records` in one transaction first, and only then does the rest.
// After a crash it folds the journaled records into a state and hands in Restarted. An answer that
// comes twice, late or for an older attempt changes nothing. docs/run.md tells the same in words.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ask.hpp"
#include "state.hpp"

namespace lockstep::run {

struct Begin {};  // its turn has come
struct Tick {};   // time has passed, or may_transfer has changed
struct Answer {
  StepKey key;
  int attempt = 1;
  std::variant<Facts, Failure> outcome;
};
struct Refuse {
  Failure failure;
};                     // it may not begin at all
struct Abort {};       // a user's wish; ignored once a seal is in doubt
struct Nudge {};       // a user's wish: try again at once what waits
struct Superseded {};  // a newer point was kept: nobody need keep this run's pins
struct Restarted {};   // the process lost all that was under way

struct Input {
  Instant now = 0;
  bool may_transfer = false;  // all older runs of the service are through with their transfer
  std::variant<Begin, Tick, Answer, Refuse, Abort, Nudge, Superseded, Restarted> what;
};

struct Effects {
  std::vector<Record> records;
  std::vector<Ask> asks;
  std::vector<StepKey> let_go;  // requests whose answers are not waited for any more
};

std::pair<State, Effects> step(State state, const Input& input);

// When Tick is due next; nothing: only an answer or a user moves the run.
std::optional<Instant> next_wake(const State& state);

}  // namespace lockstep::run
