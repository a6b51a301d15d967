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

// A request to an agent (or a hook of this host), to be sent after the records are durable.
struct Ask {
  StepKey key;
  int attempt = 1;
  std::vector<std::string> sets;  // of raise and pin: those named
  Instant at = 0;                 // of raise and pin: when; 0: at once
  Span silence = 0;               // nobody answers for this long: unreachable, or stalled
  Span deadline = 0;              // the whole of it
};

struct Effects {
  std::vector<Record> records;
  std::vector<Ask> asks;
  std::vector<StepKey> let_go;  // requests whose answers are not waited for any more
};

std::pair<State, Effects> step(State state, const Input& input);

// When Tick is due next; nothing: only an answer or a user moves the run.
std::optional<Instant> next_wake(const State& state);

// Whether a run that has ended is followed by another with a new moment, and by which.
bool deserves_successor(const State& state);
Plan successor(const State& ended, std::string run, Instant now);

}  // namespace lockstep::run
