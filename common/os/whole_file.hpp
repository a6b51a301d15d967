// A whole small file as text, and all names of a small directory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::os {

// Requires a file that fits in memory; its size need not be known (procfs, cgroupfs tell none). The
// error has the code given.
Result<std::string> read_whole(Disk& disk, const std::string& path, ErrorCode code);

// A regular file of at most `limit` bytes. Errors: not-found, source-read.
Result<std::string> read_file(Disk& disk, const std::string& path, std::uint64_t limit);

// The names in a directory, sorted; none where it is not there. Error: source-read.
Result<std::vector<std::string>> names_in(Disk& disk, const std::string& path);

}  // namespace lockstep::os
