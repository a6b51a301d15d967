// Copy: a second file with the content of a first, sharing its blocks where the file system can.
#pragma once

#include <functional>
#include <string>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::sqlite {

// `to` must be open for writing and empty. `copied` is told of bytes as they go (all at once for a
// reflink); false from it ends the copy (cancelled). Errors: source-read, no-space, target-write,
// permission.
Result<void> copy_content(os::Disk& disk, int from, const std::string& from_name, int to,
                          const std::string& to_name,
                          const std::function<bool(std::uint64_t)>& copied);

}  // namespace lockstep::sqlite
