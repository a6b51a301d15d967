// Carries: offered by a component whose store has an engine of its own that copies whole files from
// one cluster's store to another's, on many machines (DistCp). It brings the bytes of what would
// otherwise travel whole; the stream carries all the rest, compares what the engine brought by the
// stores' own checksums and has it adopted (Action::adopt), file by file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/component/data_set.hpp"

namespace lockstep::component {

// From which version to which place, and in which cluster each lies.
struct Haul {
  Version version;
  std::string from_cluster;
  std::string to_cluster;
  std::string to;     // Staging::carried_to()
  std::string place;  // the target's: what was adopted stands there by now
  bool whole = true;  // the two sides have no base
};

// Bytes of paths, each counted with one more: what is told from agent to agent is bounded.
inline constexpr std::size_t kMostExcepted = std::size_t{32} * 1024;

struct Carried {
  // Nothing: nothing was carried, and `how` says why not.
  bool any = false;
  std::string how;  // as a sentence, for the log and the certificate
  // Regular files whose bytes are not there, or are others; sorted, at most kMostExcepted.
  std::vector<std::string> except;
};

// Thread rule: any thread; one call for a run's set at a time.
class Carries {
 public:
  virtual ~Carries() = default;
  // Brings the content of the version's files to `haul.to`, where Action::adopt finds it. Called
  // again, also by another process, it goes on with what is under way and begins nothing twice.
  // With `at_will` only where it is worth it by the size, and what goes wrong with it is a reason
  // to leave it to the stream; else in any case. What an earlier attempt of the set's has under way
  // is ended first. Blocks until the engine has ended; on an error its job is ended, too. Errors:
  // carry-failed, unreachable, permission, cancelled, deadline, not-supported, stream-hostile
  // (`haul.to` is not where an attempt of that run may bring anything).
  virtual Result<Carried> carry(const Context& context, const Haul& haul, bool at_will) = 0;
  // Ends what is under way for the run's set, whoever began it; of nothing: success.
  virtual Result<void> call_off(const Context& context, const SetId& id) = 0;
};

}  // namespace lockstep::component
