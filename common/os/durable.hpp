// Small files that must survive: written whole, synced, renamed into place, their directory synced.
//
// Thread rule: any thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::os {

// mkdir -p with mode 0700; each directory made is synced into its parent. Errors: target-write,
// permission, no-space.
Result<void> make_directories(os::Disk& disk, const std::string& path);

// `last_check` runs when all but the rename is done; its error leaves nothing behind. Errors:
// target-write, permission, no-space.
Result<void> write_durably(os::Disk& disk, const std::string& path, std::string_view content,
                           const std::function<Result<void>()>& last_check);

// Removes the file, durably; of one that is gone: success.
Result<void> remove_durably(os::Disk& disk, const std::string& path);

// The whole file, at most `limit` bytes. Errors: not-found, source-read.
Result<std::string> read_file(os::Disk& disk, const std::string& path, std::uint64_t limit);

// The names in a directory, sorted; none where it is not there. Error: source-read.
Result<std::vector<std::string>> names_in(os::Disk& disk, const std::string& path);

}  // namespace lockstep::os
