// Files that the command line looks at, through common/os.
#pragma once

#include <string>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::cli {

Result<std::string> read_small_file(os::Disk& disk, const std::string& path);

// Absolute, against the working directory, without `..`.
Result<std::string> absolute(const std::string& path);

}  // namespace lockstep::cli
