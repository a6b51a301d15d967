// ManifestWriter: writes a manifest and makes the digests of directories and of the root on the
// way.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/os/disk.hpp"
#include "common/stream/manifest_reader.hpp"

namespace lockstep::stream {

class ManifestWriter {
 public:
  // Called for each directory that the order leaves, after its digest is made, deepest first.
  using OnLeave = std::function<Result<void>(const Entry& directory, bool touched)>;

  // A new file in place of what `path` held.
  static Result<ManifestWriter> create(os::Disk& disk, const std::string& path, WithNative native);
  // Goes on with the first `offset` bytes of a file that create() made. Errors: resume-refused
  // (they are not the beginning of a manifest).
  static Result<ManifestWriter> resume(os::Disk& disk, const std::string& path,
                                       std::uint64_t offset, WithNative native);
  ManifestWriter(ManifestWriter&&) noexcept;
  ManifestWriter& operator=(ManifestWriter&&) noexcept;
  ~ManifestWriter();

  void on_leave(OnLeave handler);

  // Leaves every directory that `path` does not lie in. After it `path`'s parent is the innermost
  // directory, or the tree is not one (false).
  Result<bool> leave_until(const std::string& path);
  // Marks the innermost directory: something directly in it was changed.
  void touch();
  // Marks again what a resumed writer cannot know: the directory at `path`, if it is open.
  void touch(const std::string& path);
  // Open directories that are marked, outermost first.
  std::vector<std::string> touched() const;

  // Begins an entry; requires leave_until(entry.path) and ascending paths. A directory is open
  // until the order leaves it; `touched` as if touch() had been called inside it. Anything else
  // must be ended.
  Result<void> begin(const Entry& entry, bool touched = false);
  // Leaves of the regular file begun, in order, where they are stored (stored_leaves).
  Result<void> leaf(const Digest128& digest);
  std::uint64_t leaves() const;  // so far, of the entry begun
  // Ends it. Where leaves are stored the content digest is made of them; else it is `content`.
  Result<Digest256> end(const Digest256& content = {});
  bool entry_open() const;
  const Entry& open_entry() const;  // requires entry_open()

  // Copies the record at hand of `reader` with its leaves and digests, which are not made again:
  // the reader's checksum tells at its end whether they are what was written (requires leave_until,
  // At::entry). A directory is begun.
  Result<void> copy(ManifestReader& reader) { return copy(reader, reader.entry()); }
  // Under the entry `as`: with the metadata and content of the one at hand, but perhaps another
  // native part.
  Result<void> copy(ManifestReader& reader, const Entry& as);
  // Whether whole directories can be copied as bytes: both have the same parts of an entry.
  bool copies_trees_of(const ManifestReader& reader) const;
  // Copies the record at hand and, of a directory, all that lies in it; no on_leave for these.
  // `hard_link` is told of each hard link in the directory (entries() are then those before it),
  // `passed` is called now and then. Requires copies_trees_of(reader), leave_until, At::entry.
  using OnHardLink = std::function<Result<void>(const Entry&)>;
  Result<void> copy_tree(ManifestReader& reader, const OnHardLink& hard_link = {},
                         const std::function<Result<void>()>& passed = {});

  // Leaves all directories and writes the end.
  Result<ManifestSummary> finish();

  std::uint64_t offset() const;  // bytes written, buffered ones included
  std::uint64_t entries() const;
  Result<void> flush();  // to the kernel
  Result<void> sync();   // to the disk

 private:
  struct Impl;
  explicit ManifestWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Moves a finished, synced manifest into its place, durably (rename, fsync of the directory).
Result<void> publish_manifest(os::Disk& disk, const std::string& part, const std::string& path);

}  // namespace lockstep::stream
