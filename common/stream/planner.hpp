// Planner: the sender's walk. Merges the version as its source lists it with the base's manifest
// into the new manifest and the records that turn the one into the other (docs/stream.md).
//
// Given the same version and the same base it makes the same records in the same order.
//
// Thread rule: one thread, whose call it is; it has others list and read ahead (read_ahead.hpp).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "common/component/source.hpp"
#include "common/os/disk.hpp"
#include "common/stream/manifest.hpp"
#include "common/stream/pack.hpp"

namespace lockstep::stream {

struct PlanJob {
  component::Source* source = nullptr;
  std::string manifest_part;               // written here, synced, not renamed
  std::string base_manifest;               // empty: none
  std::optional<component::Version> base;  // for changed_extents
  // Of regular files whose bytes an engine brought already: their checksums; "" of one whose bytes
  // must travel. Nothing: all must. Asked for by several threads; with a base by the caller's
  // alone, and not of what is as in the base.
  std::function<Result<std::string>(const component::Entry&)> sum_of_carried;
  std::stop_token stop;
  // Per entry, and within large files now and then; cheap.
  std::function<void(std::uint64_t entries)> walked;
  // The same for what is read ahead, from any thread.
  std::function<void()> moved;
};

// Errors: source-read and the like, point-damaged (the base's manifest), no-space, io, cancelled,
// and whatever the builder's sink returned.
Result<ManifestSummary> plan(os::Disk& disk, const PlanJob& job, PackBuilder& builder);

}  // namespace lockstep::stream
