// Pages: where two files of one database differ.
#pragma once

#include <cstddef>
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

// Joins runs that lie close together until there are at most `limit` (at least 1), beginning with
// the smallest gaps of a power of two pages. What lies between is sent without need. Pure.
void coarsen(std::vector<component::Extent>& runs, std::size_t limit, std::uint32_t page_size);

// The pages in which the two files differ, up to the end of the smaller, which is the base's or the
// new one's. Blocks that both share are not read. At most 2^18 runs, so that memory does not grow
// with the database. Error: source-read.
Result<std::vector<component::Extent>> differing_pages(os::Disk& disk, int now, int base,
                                                       std::uint32_t page_size,
                                                       const std::string& where);

}  // namespace lockstep::sqlite
