// A whole file as text, of files whose size stat(2) does not tell (procfs, cgroupfs).
#pragma once

#include <string>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::os {

// Requires a file that fits in memory. The error has the code given.
Result<std::string> read_whole(Disk& disk, const std::string& path, ErrorCode code);

}  // namespace lockstep::os
