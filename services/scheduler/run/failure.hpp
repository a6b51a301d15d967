// Failure: why a step or a run failed, and what may still be tried after it.
#pragma once

#include <string>

namespace lockstep::run {

struct Failure {
  std::string code;  // a name from common/errors.yaml
  std::string what;
  std::string where;
  std::string hint;
  // True where the agent itself said so: the answer is stored under the step's attempt, so that
  // asking again needs a higher one. False: nobody answered; the same attempt is asked again, and
  // an agent that had done it answers from its store.
  bool reached = true;
};

// Before commit: whether a new run with a new moment could end differently.
bool worth_another_run(const Failure& failure);

// After commit, while the pins are held: how long the same step is tried again.
enum class Patience {
  none,      // it will fail the same way; the run fails at once
  limited,   // a few times
  deadline,  // somebody is away: until the run's deadline
};
Patience patience(const Failure& failure);

}  // namespace lockstep::run
