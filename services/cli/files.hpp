// Files that the command line writes, durably, through common/os.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::cli {

// Writes, syncs, renames into place, syncs the directory.
Result<void> write_file(os::Disk& disk, const std::string& path, const std::string& text,
                        mode_t mode);
// Makes the directory and those above it; one that is there is left as it is.
Result<void> make_directories(os::Disk& disk, const std::string& path, mode_t mode);
bool exists(os::Disk& disk, const std::string& path);
Result<std::string> read_small_file(os::Disk& disk, const std::string& path);

// Absolute, against the working directory, without `..`.
Result<std::string> absolute(const std::string& path);

}  // namespace lockstep::cli
