// Extents: in which runs of bytes two files may differ, told from how the file system maps them,
// and, where that says nothing, from their content.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "common/component/entry.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

// Runs of [0, size) of which the two maps do not show that both files have them from the same
// blocks (or both have a hole): sorted, disjoint. The maps are of one file system. Pure.
std::vector<component::Extent> not_shared(const std::vector<os::MappedExtent>& a,
                                          const std::vector<os::MappedExtent>& b,
                                          std::uint64_t size);

// `runs` cut to whole blocks of `block` bytes (the last one ends at `size`), touching ones joined.
std::vector<component::Extent> widen(const std::vector<component::Extent>& runs,
                                     std::uint64_t block, std::uint64_t size);

// Those blocks of `runs` in which the files' contents differ. The error is of reading.
os::Sys<std::vector<component::Extent>> differing(os::Disk& disk, int a, int b,
                                                  const std::vector<component::Extent>& runs,
                                                  std::uint64_t block);

}  // namespace lockstep::files
