// ResumeState: what a receiver journals, as bytes (ResumeRow::state).
//
// Thread rule: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/component/carries.hpp"
#include "common/stream/applier.hpp"

namespace lockstep::stream {

// Between two packs.
struct Mark {
  std::uint64_t sequence = 0;  // of the last pack applied
  Digest128 chain{};
  ApplyState apply;
};

struct ResumeState {
  std::string transfer;
  std::string boot_id;  // of the boot in which `applied` holds
  Mark applied;
  Mark durable;                // what a power loss leaves
  bool sealing = false;        // everything was applied and checked: a version may exist
  bool complete = false;       // sealed, the manifest in its place
  std::uint64_t seen = 0;      // the highest pack that ever came
  std::uint64_t received = 0;  // bytes on the wire
  std::uint64_t again = 0;     // of them, packs that had come before
  // What an engine brought. The packs follow from it too: it stays as long as they count.
  std::optional<component::Carried> carried;
};

std::string encode_state(const ResumeState& state);
// Nothing for what this version did not write.
std::optional<ResumeState> decode_state(std::string_view bytes);

}  // namespace lockstep::stream
