// What protects recovery points, as decisions without surroundings.
//
// Thread rule: pure functions.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/clock/moment.hpp"
#include "common/error/error.hpp"

namespace lockstep::transfer {

// A point of one service, as far as the guards look.
struct PointFacts {
  std::string id;
  UtcNanos moment;
  UtcNanos sealed_at;
  bool known_bad = false;  // a verification found it damaged
};

// May `id` be deleted now? Errors: point-missing; point-locked (younger than `lock`); point-last
// (the newest of the service that is not known to be bad, and `even_newest` is false).
Result<void> may_delete(const std::vector<PointFacts>& points, const std::string& id, UtcNanos now,
                        Nanos lock, bool even_newest);

// A set as the seal names it, and as it was received here.
struct SealFacts {
  std::string name;
  std::string wanted_root;
  std::uint64_t wanted_entries = 0;
  std::uint64_t wanted_bytes = 0;
  std::string certified_root;       // the certificate's; empty: it has no such set
  std::optional<std::string> root;  // of what was received; nothing: no sealed version
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};
// Why the seal is refused for ever; nothing: it may be sealed. `tombstone`: why the run was
// dropped.
std::optional<std::string> seal_refusal(const std::optional<std::string>& tombstone,
                                        const std::vector<SealFacts>& sets);

}  // namespace lockstep::transfer
