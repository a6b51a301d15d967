// Version::native of files: compact JSON, written by the pinning and the receiving half and read by
// the source.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/error/error.hpp"

namespace lockstep::files {

struct Native {
  std::string tree;  // absolute path of the directory that is the root entry
  std::string hold;  // absolute path of what drop() removes
  std::string form;  // "subvolume" or "tree"
  std::string uuid;  // of the subvolume; empty for trees
  // Entries of `tree` that are not part of the set: the policy's patterns (exclude.hpp). Trees that
  // were made without them have none. The store itself (is_store) is always left out by the source.
  std::vector<std::string> exclude;
  // An entry with a ctime at or after this instant (nanoseconds since 1970) may have been written
  // again within the same clock tick after the pin: its inode and ctime do not prove that a later
  // version has the same content. 0: there are no such entries.
  std::int64_t settled_before_ns = 0;
};

std::string to_text(const Native& native);
// Error: version-missing (the text is not one of ours).
Result<Native> native_from_text(const std::string& text);

}  // namespace lockstep::files
