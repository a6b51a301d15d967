// ResumeLog: where a receiver keeps how far it has come, so that a restart of either side sends
// only what was under way again. The service implements it on its journal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/error/error.hpp"

namespace lockstep::stream {

// One row per transfer and set. `state` belongs to the stream; the rest is for people and tests.
struct ResumeRow {
  std::string state;           // bytes; at most a few KiB
  std::uint64_t sequence = 0;  // packs applied
  std::uint64_t durable = 0;   // packs that a power loss leaves
  bool complete = false;       // sealed; the manifest is in its place
};

// Thread rule: called by the thread that runs receive_set.
class ResumeLog {
 public:
  virtual ~ResumeLog() = default;
  // Nothing where the transfer is new, or was cleared.
  virtual Result<std::optional<ResumeRow>> load() = 0;
  // Durable against the death of the process when it returns (and against power loss as far as the
  // journal is). Called once for a quarter of the window.
  virtual Result<void> save(const ResumeRow& row) = 0;
  virtual Result<void> clear() = 0;
};

}  // namespace lockstep::stream
