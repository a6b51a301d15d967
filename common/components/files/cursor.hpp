// Cursor: the entries of one version of a tree of files, in manifest order.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/component/source.hpp"
#include "common/components/files/exclude.hpp"
#include "common/components/files/native.hpp"
#include "common/components/files/origin.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

struct CursorOptions {
  int root = -1;        // the opened root of the version; outlives the cursor
  std::string where;    // its path, for errors
  std::string scratch;  // a directory for scratch files
  std::string start;    // only this entry and what it holds; "" for all
  bool alone = false;   // only the start itself
  bool xattrs = true;   // false: the entries come without
  // Of an inode with several names: the first of them in order, of those that belong to the set.
  // Where it is not given the cursor remembers what it has seen, and must see all of the set.
  std::function<Result<std::string>(std::uint64_t inode, const std::string& path)> first_name;
  const Exclude* exclude = nullptr;  // outlives the cursor
  // Entries with a ctime from here on are given without `native` (Native::settled_before_ns); 0:
  // none.
  std::int64_t settled_before_ns = 0;
  std::optional<OriginReader> origins;  // of a cloned or copied pin (origin.hpp)
};

std::unique_ptr<component::EntryCursor> make_cursor(os::Disk& disk, CursorOptions options);

}  // namespace lockstep::files
