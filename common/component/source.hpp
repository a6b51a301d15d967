// Source: reading one fixed version, entry by entry. Used to send (the primary's pins), to verify
// and to restore (the secondary's versions).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/component/entry.hpp"

namespace lockstep::component {

// Entries in manifest order, one at a time, so that memory does not grow with the tree (a huge
// directory is sorted on disk). Thread rule: one thread.
class EntryCursor {
 public:
  virtual ~EntryCursor() = default;
  // The next entry, or nothing at the end. Errors: source-read, source-special, nested-mount.
  virtual Result<std::optional<Entry>> next() = 0;
};

// One place at which a version may differ from its base.
struct Change {
  std::string path;
  std::optional<Entry> now;  // as the cursor of all entries would give it; nothing: there is none
  // All that lies inside now follows, one by one (nothing, where no directory stands there): what
  // the base has inside it and does not follow is there no more.
  bool below = false;
};

// Where a version may differ from its base, in manifest order, each path once. Of an entry that is
// neither given nor inside one given with `below`, the base's is still true, `native` included (of
// a hard_link: unless its first name was given). Thread rule: one thread.
class ChangeCursor {
 public:
  virtual ~ChangeCursor() = default;
  // The next, or nothing at the end. Errors: source-read, source-special, nested-mount.
  virtual Result<std::optional<Change>> next() = 0;
};

// The content of one regular file. Thread rule: one thread.
class EntryReader {
 public:
  virtual ~EntryReader() = default;
  // Fills `into` from `offset`; returns how many bytes, fewer only at the end of the file. Error:
  // source-read.
  virtual Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) = 0;
};

// Thread rule: open(), unchanged(), changed_extents() and kept_sum() may be called from several
// threads, while a cursor is used by another.
class Source {
 public:
  virtual ~Source() = default;

  // All entries of the version.
  virtual Result<std::unique_ptr<EntryCursor>> entries() = 0;

  // The same entries for who only counts: without xattrs where that spares an effort.
  virtual Result<std::unique_ptr<EntryCursor>> counted() { return entries(); }

  // Where this version may differ from `base` (a version of the same set that is still held); null
  // where the component cannot tell that with less effort than by listing all entries. It only
  // spares the effort: what comes of it is the same.
  virtual Result<std::unique_ptr<ChangeCursor>> changes(const Version& base) {
    (void)base;
    return std::unique_ptr<ChangeCursor>();
  }

  // The content of a regular file that entries() returned (of a hard_link: ask for its target).
  virtual Result<std::unique_ptr<EntryReader>> open(const Entry& entry) = 0;

  // True where `now` certainly has the content, metadata and xattrs that `before` had: `before` was
  // returned by the cursor of an earlier version of the same data set (its `native` included).
  // Where this cannot be known the answer is false, and the content is read.
  virtual bool unchanged(const Entry& before, const Entry& now) const = 0;

  // The checksum that the store itself keeps of a regular file's content, with its algorithm: two
  // stores of one kind have the same of the same content, where they keep it in the same way. At
  // most 256 bytes. Error: source-read, not-supported where the store keeps none.
  virtual Result<std::string> kept_sum(const Entry& entry);
  // The same in the way of `like`, made from the content, all of which is read. Errors:
  // source-read, not-supported (`like` is of a way that is not known here), cancelled.
  virtual Result<std::string> made_sum(const Entry& entry, const std::string& like,
                                       const std::stop_token& stop);

  // Runs of bytes in which `entry` may differ from the entry of the same path in `base` (a version
  // of the same set that is still held), sorted and disjoint, cut at the smaller size; nothing
  // where that is not known or not worth it: then all is sent. A cheap look (shared extents) or a
  // comparison of the two files, as the component sees fit.
  virtual Result<std::optional<std::vector<Extent>>> changed_extents(const Entry& entry,
                                                                     const Version& base) = 0;

  // The same for who knows nothing else of the base's content (Entry::sum): where there is no cheap
  // look, the two files are read and compared.
  virtual Result<std::optional<std::vector<Extent>>> compared_extents(const Entry& entry,
                                                                      const Version& base) {
    return changed_extents(entry, base);
  }
};

// Opens sources. Thread rule: any thread.
class Sources {
 public:
  virtual ~Sources() = default;
  // Errors: version-missing, source-read.
  virtual Result<std::unique_ptr<Source>> open(const Version& version) = 0;
};

}  // namespace lockstep::component
