// The content of one file, copied into another: shared where the file systems can.
#pragma once

#include <cstdint>

#include "common/os/disk.hpp"

namespace lockstep::files {

// The content of `from` into the empty file `to`: as a reflink, else run by run, holes kept.
os::Sys<void> copy_content(os::Disk& disk, int from, int to, std::uint64_t size);

}  // namespace lockstep::files
