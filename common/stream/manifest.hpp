// Manifest: the sorted list of everything in one version of a data set, with digests, as a file
// (docs/point-format.md, "The manifest"). It is written and read as a stream; nothing of it but the
// directories that are open is ever held in memory.
//
// Thread rule: an object belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error/error.hpp"
#include "common/stream/digest.hpp"

namespace lockstep::os {
class Disk;
}

namespace lockstep::stream {

// What the end of a manifest says of the whole.
struct ManifestSummary {
  std::uint64_t entries = 0;  // all, the root included
  std::uint64_t bytes = 0;    // the sizes of all regular files
  Digest256 root{};
};

// The summary alone, read from the end of the file. Errors: not-found (there is no such file),
// point-damaged (it is not a whole manifest).
Result<ManifestSummary> read_manifest_summary(os::Disk& disk, const std::string& path);

// The root of a transfer's base, once the checksum was compared: about 0.1 s for a million entries.
// Nothing where `path` is empty, or where the manifest is damaged, which `damage` then tells: the
// transfer goes without a base. Errors: not-found, io.
Result<std::optional<Digest256>> root_of_base(os::Disk& disk, const std::string& path,
                                              std::string& damage);

// Reads the manifest from end to end, checks its own checksum, its order and every digest in it
// against the root. Errors: point-damaged, not-found.
Result<ManifestSummary> check_manifest(os::Disk& disk, const std::string& path);

// A page of entries, for `points ls`: `path` itself where it is not a directory, else what lies
// directly in it; those after the name `after`; at most `limit`. The manifest is read once from its
// start. Errors: not-found (no such path), point-damaged.
struct EntryPage {
  std::vector<Entry> entries;  // without native
  bool more = false;
};
Result<EntryPage> list_manifest(os::Disk& disk, const std::string& path_of_manifest,
                                const std::string& path, const std::string& after,
                                std::size_t limit);

}  // namespace lockstep::stream
