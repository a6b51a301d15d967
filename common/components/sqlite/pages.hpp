// Pages: where two files of one database differ.
#pragma once

#include <cstdint>
#include <vector>

#include "common/component/entry.hpp"
#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::sqlite {

// What of [0, size) is not known to lie in the same blocks of the same file system in both maps;
// sorted and disjoint, cut to whole pages. Pure.
std::vector<component::Extent> not_shared(const std::vector<os::MappedExtent>& now,
                                          const std::vector<os::MappedExtent>& base,
                                          std::uint64_t size, std::uint32_t page_size);

// Appends [offset, offset + length), one run with the last where they touch.
void append_run(std::vector<component::Extent>& runs, std::uint64_t offset, std::uint64_t length);

// The pages in which the two files differ, up to the end of the smaller, which is the base's or the
// new one's. Blocks that both share are not read. Error: source-read.
Result<std::vector<component::Extent>> differing_pages(os::Disk& disk, int now, int base,
                                                       std::uint32_t page_size,
                                                       const std::string& where);

}  // namespace lockstep::sqlite
