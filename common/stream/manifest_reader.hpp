// ManifestReader: a manifest from its start to its end, record by record.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/os/disk.hpp"
#include "common/stream/entry_codec.hpp"
#include "common/stream/manifest.hpp"

namespace lockstep::stream {

// docs/point-format.md, "The manifest".
inline constexpr char kManifestMagic[8] = {'L', 'S', 'M', 'A', 'N', 'I', 'F', '1'};
inline constexpr std::uint32_t kManifestVersion = 1;
inline constexpr std::uint32_t kManifestHasNative = 1;
inline constexpr std::size_t kManifestHeaderBytes = 16;
enum class ManifestTag : std::uint8_t { entry = 1, leave = 2, end = 255 };
inline constexpr std::size_t kManifestTrailerBytes = 1 + 8 + 8 + 32 + 16;

// A regular file of several leaves, which can be patched.
constexpr bool has_leaves(const Entry& entry) {
  return entry.kind == component::EntryKind::regular && entry.size > kLeaf;
}
// The leaves of a regular file stand in the manifest only where it has more than one, and where its
// content is known by them.
constexpr std::uint64_t stored_leaves(const Entry& entry) {
  return has_leaves(entry) && entry.sum.empty() ? leaf_count(entry.size) : 0;
}

class ManifestReader {
 public:
  enum class At { entry, leave, end };

  // From the start: the checksum is compared when the end is reached.
  static Result<ManifestReader> open(os::Disk& disk, const std::string& path);
  // From the record that begins at `offset`, with no comparison at the end.
  static Result<ManifestReader> open_at(os::Disk& disk, const std::string& path,
                                        std::uint64_t offset);
  // From the record that begins at `offset`. What stands before it is read for the checksum alone,
  // which is compared when the end is reached.
  static Result<ManifestReader> go_on_at(os::Disk& disk, const std::string& path,
                                         std::uint64_t offset);
  // The first `limit` bytes of a manifest that is being written; it ends, wherever in a record,
  // with At::end.
  static Result<ManifestReader> open_partial(os::Disk& disk, const std::string& path,
                                             std::uint64_t limit);
  ManifestReader(ManifestReader&&) noexcept;
  ManifestReader& operator=(ManifestReader&&) noexcept;
  ~ManifestReader();

  // The next record; leaves of the last one that were not read are passed over. Error:
  // point-damaged.
  Result<At> next();
  // The same past the leave records: for who looks at entries alone, it stands at one or at the
  // end.
  Result<At> next_entry();
  At at() const;
  bool has_native() const;
  // Of the record at hand. For a `leave` record the path is not in the file: it is that of the
  // directory left.
  const Entry& entry() const;
  std::uint64_t record_offset() const;

  // The next leaf of the regular file at hand; requires leaves_left() > 0. In a partial manifest
  // the last one read may be the end of the file: `leaves_left() > 0` and `exhausted()`.
  Result<Digest128> read_leaf();
  std::uint64_t leaves_left() const;
  bool exhausted() const;  // partial: nothing whole is left before the limit

  // What stands after the leaves. `content` of regular files only. For a `leave` record `digest` is
  // the directory's entry digest and `children` their number.
  struct Tail {
    Digest256 content{};
    Digest256 digest{};
    std::uint64_t children = 0;
  };
  Result<Tail> tail();  // passes over leaves that are left; may be asked for again

  // All that lies in the directory at hand, which no next() has left: the bytes of its records go
  // to `sink`, many records at a time, the last of them its `leave`. Nothing is decoded but what
  // tells the records' lengths, and the hard links where `hard_link` asks for them. next() goes on
  // after the directory.
  using Sink = std::function<Result<void>(std::span<const std::byte>)>;
  // `before`: how many entries of the directory were passed before it.
  using OnEntry = std::function<Result<void>(const Entry& entry, std::uint64_t before)>;
  struct Inside {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;  // the sizes of the regular files
    Tail tail;                // the directory's
  };
  Result<Inside> pass_directory(const Sink& sink, const OnEntry& hard_link = {});

  // Valid once next() gave At::end on a whole manifest.
  const ManifestSummary& summary() const;

 private:
  struct Impl;
  static Result<std::unique_ptr<Impl>> opened_for(os::Disk& disk, const std::string& path,
                                                  std::uint64_t offset);
  explicit ManifestReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep::stream
