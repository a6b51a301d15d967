// Steps: what each message of a run has done here, and how that is journaled. Each runs on a thread
// of the run's own; what it came to is told to the run's state (logic/run_state.hpp) afterwards.
//
// Intent stands in the journal before an effect; the reply is stored in the transaction that
// records the effect. Versions in the stores carry the run's name, so that what a crash left is
// found.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "services/snapshot-agent/book.hpp"
#include "services/snapshot-agent/pins.hpp"
#include "services/snapshot-agent/tools.hpp"

namespace lockstep::snapshot {

// What a step came to.
struct Outcome {
  message::Body body;                    // of its answer
  std::function<void(RunState&)> facts;  // told to the state; may be empty
};

// What a step is part of.
struct Occasion {
  std::string service;
  std::string run;
  std::string step;
  int attempt = 0;
  std::optional<UtcNanos> deadline;
  std::stop_token stop;
  ProgressPtr progress = {};
  journal::ReplyKey key() const { return {run, step, attempt}; }
};

// On error nothing is armed, and the journal knows of nothing.
Result<Outcome> do_arm(const Tools& tools, Pins& pins, const Occasion& occasion,
                       const std::vector<OwnSet>& sets, UtcNanos moment, Nanos lease);
Result<Outcome> do_raise(const Tools& tools, Pins& pins, const Occasion& occasion,
                         const std::vector<std::string>& names, UtcNanos at);
Result<Outcome> do_pin(const Tools& tools, Pins& pins, const Occasion& occasion,
                       const std::vector<std::string>& names, UtcNanos at);
Result<Outcome> do_lower(const Tools& tools, Pins& pins, const Occasion& occasion);
Result<Outcome> do_commit(const Tools& tools, Pins& pins, const Occasion& occasion);
// The run's versions become the base; those of older committed runs of the service are dropped.
Result<Outcome> do_keep(const Tools& tools, const Occasion& occasion);

// The run's versions are held as what a superseded primary had written. Nothing is dropped for
// them, and no run drops them.
inline constexpr const char* kDivergent = "divergent";
Result<Outcome> do_set_aside(const Tools& tools, const Occasion& occasion);

// A person's word that what a superseded primary had written is not wanted any more: the hold ends,
// the run is over, and try_again() removes the pins, after a death too. The body of
// snapshot.release.done: the holds that ended, none where that was done before. Errors: not-found,
// guard (what holds the run is no divergence).
Result<message::Body> release_divergent(const Tools& tools, const std::string& run);
message::Body holds_body(const std::vector<Hold>& holds);

// Removes all that the run has here, of `also` too, and leaves the tombstone `over`. What is held
// as base stays. `failure`: of the step that ends so; stored as its answer. An occasion without a
// step stores no answer. On error the members that are left stay in the journal (try_again()).
Result<Outcome> do_drop(const Tools& tools, Pins& pins, const Occasion& occasion,
                        const std::vector<OwnSet>& also, Over over, const std::string& why,
                        const std::optional<Error>& failure = std::nullopt);

// Stores the failure of a step that had no effect.
Result<void> store_failure(const Tools& tools, const Occasion& occasion, const Error& error);

// The answer to a commit that was done before this process began.
Result<message::Body> commit_body(const Tools& tools, const std::string& run);

}  // namespace lockstep::snapshot
