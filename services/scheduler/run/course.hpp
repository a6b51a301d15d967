// Course: a run's state while a step of the logic changes it. Every change is a record, folded at
// once, and every question an ask, so that what the caller journals and sends is what happened.
//
// Knows how questions are put and put again; which come next is step.cpp's.
#pragma once

#include <utility>
#include <vector>

#include "step.hpp"

namespace lockstep::run {

class Course {
 public:
  // `state` and `effects` outlive it.
  Course(State& state, Effects& effects, Instant now)
      : state_(state), effects_(effects), now_(now) {}

 protected:
  template <class Fact>
  void record(Fact fact) {
    effects_.records.push_back({now_, std::move(fact)});
    fold(state_, effects_.records.back());
  }
  void enter(Phase phase) { record(Entered{phase}); }

  // Under the same attempt where nobody answered the last, under a higher one where the agent did.
  void ask(const StepKey& key);
  // Put again, unanswered, by a process that lost what was under way.
  void repeat(const StepKey& key) { effects_.asks.push_back(make_ask(state_, key, now_)); }
  void let_go(const StepKey& key);
  // What waits and is due; transfers only where `may_transfer`.
  void ask_again(bool may_transfer);

  std::vector<StepKey> keys_with(StepState::Status status) const;
  // Every step of `act` (and stage) that was asked has ended well.
  bool all_done(Act act, int stage = 0) const;
  // Every chore of these acts has had an answer of some kind.
  bool tried_all(Act one, Act other) const;
  // The steps that have no answer, for people: "transfer of north-transfer (why it failed)".
  std::string waited_for() const;

  State& state_;
  Effects& effects_;
  const Instant now_;
};

}  // namespace lockstep::run
