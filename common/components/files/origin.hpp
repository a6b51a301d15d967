// Origin: which inode of the data set each entry of a cloned or copied pin was made from.
//
// A clone has inodes of its own, so that inode and ctime of the clone say nothing about the data
// set. They are kept in a file beside the pin, "<hold>.origin", one record an entry in manifest
// order. The source takes Entry::native from it (and recognises hard links by it: the further names
// of a file have one inode); the next pin links what has not changed since.
//
// An entry whose inode and ctime are those of a record is unchanged, content, metadata and xattrs:
// every record's ctime lies more than a clock tick before the pin was requested, and what mappings
// had written was synced before, so that any later change must have given the inode a later ctime.
//
// Format: "lockstep-origin/1\n", then records: u32 length of the path, its bytes, u64 inode,
// i64 ctime in nanoseconds, u32 links; integers little-endian.
//
// Thread rule: one thread an object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

struct Origin {
  std::string path;  // relative to the set's root; the root itself is ""
  std::uint64_t inode = 0;
  std::int64_t ctime_ns = 0;
  std::uint32_t links = 0;  // st_nlink of the original
};

// "<hold>.origin"
std::string origin_path(const std::string& hold);

class OriginWriter {
 public:
  // Writes to "<path>.part" until finish(). Error: target-write, no-space.
  static Result<OriginWriter> create(os::Disk& disk, const std::string& path);

  // In manifest order.
  Result<void> add(const Origin& origin);
  // Writes the rest and renames to its name: it is there only when it is whole. The caller syncs.
  Result<void> finish();

 private:
  OriginWriter(os::Disk& disk, std::string path, os::Fd file);
  Result<void> flush();

  os::Disk* disk_;
  std::string path_;
  os::Fd file_;
  std::uint64_t offset_ = 0;
  std::string buffer_;
};

class OriginReader {
 public:
  // Error: version-missing (no such file, or not one of ours).
  static Result<OriginReader> open(os::Disk& disk, const std::string& path);

  // The next record, or nothing at the end. Error: source-read.
  Result<std::optional<Origin>> next();
  // The record of `path`, or nothing where there is none. Paths must be asked for in manifest
  // order; records in between are passed over.
  Result<std::optional<Origin>> find(const std::string& path);

 private:
  OriginReader(os::Disk& disk, std::string path, os::Fd file);
  Result<bool> fill(std::size_t bytes);

  os::Disk* disk_;
  std::string path_;
  os::Fd file_;
  std::uint64_t offset_ = 0;
  std::string buffer_;
  std::size_t position_ = 0;
  std::optional<Origin> ahead_;  // read by find(), lies behind what was asked for
};

}  // namespace lockstep::files
