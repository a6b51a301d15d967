// Store: one cluster's directory, whichever it is (docs/users.md).
//
// Thread rule: one thread at a time.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "common/clock/clock.hpp"
#include "common/users/diff.hpp"
#include "common/users/state.hpp"

namespace lockstep::users {

// What a directory held, and when: all of it at an instant in `during`.
struct Reading {
  State state;
  std::string store;  // Store::kind()
  Interval during;
};

class Store {
 public:
  virtual ~Store() = default;
  virtual const char* kind() const = 0;  // "embedded", "ldap": as lockstep.yaml has it

  // What it holds, all of one moment. Errors: source-read, permission, unreachable.
  virtual Result<State> read() = 0;
  // The same, for a recovery point; `stop` is looked at between one reading and the next. Errors as
  // of read(), cancelled.
  virtual Result<Reading> capture(const Clock& clock, const std::stop_token& stop) = 0;
  // Opens, or asks whether it answers: what read() would come upon first. Errors as of read().
  virtual Result<void> probe() = 0;

  // Told how many changes are done; false: no more are wanted (cancelled).
  using OnDone = std::function<bool(std::size_t)>;
  // Carries out in order what diff() made of `present`, which read() gave a moment ago. A store of
  // transactions does all or nothing; from another, what an error or a death leaves undone is found
  // by the next diff(). Errors: target-write, no-space, permission, unreachable, cancelled. They
  // never quote values.
  virtual Result<void> apply(const State& present, const Changes& changes,
                             const OnDone& on_done) = 0;
};

}  // namespace lockstep::users
