#include "common/components/sqlite/pages.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

namespace lockstep::sqlite {

using component::Extent;
using os::MappedExtent;

void append_run(std::vector<Extent>& runs, std::uint64_t offset, std::uint64_t length) {
  if (length == 0) return;
  if (!runs.empty() && runs.back().offset + runs.back().length >= offset) {
    const std::uint64_t end = std::max(runs.back().offset + runs.back().length, offset + length);
    runs.back().length = end - runs.back().offset;
    return;
  }
  runs.push_back({offset, length});
}

std::vector<Extent> not_shared(const std::vector<MappedExtent>& now,
                               const std::vector<MappedExtent>& base, std::uint64_t size,
                               std::uint32_t page_size) {
  std::vector<Extent> shared;
  std::size_t b = 0;
  for (const MappedExtent& ours : now) {
    const std::uint64_t end = ours.logical + ours.length;
    while (b < base.size() && base[b].logical + base[b].length <= ours.logical) ++b;
    for (std::size_t i = b; i < base.size() && base[i].logical < end; ++i) {
      const MappedExtent& theirs = base[i];
      if (!ours.known || !theirs.known || ours.unwritten || theirs.unwritten) continue;
      const std::uint64_t from = std::max(ours.logical, theirs.logical);
      const std::uint64_t to = std::min(end, theirs.logical + theirs.length);
      if (ours.physical + (from - ours.logical) == theirs.physical + (from - theirs.logical)) {
        append_run(shared, from, to - from);
      }
    }
  }
  // What lies between the shared runs, widened to pages.
  std::vector<Extent> out;
  std::uint64_t at = 0;
  const auto add = [&](std::uint64_t from, std::uint64_t to) {
    if (from >= to) return;
    const std::uint64_t begin = from / page_size * page_size;
    const std::uint64_t end = std::min(size, (to + page_size - 1) / page_size * page_size);
    append_run(out, begin, end - begin);
  };
  for (const Extent& run : shared) {
    if (run.offset >= size) break;
    add(at, std::min(run.offset, size));
    at = run.offset + run.length;
  }
  add(at, size);
  return out;
}

void coarsen(std::vector<Extent>& runs, std::size_t limit, std::uint32_t page_size) {
  for (std::uint64_t gap = page_size; runs.size() > limit; gap *= 2) {
    std::size_t last = 0;
    for (std::size_t i = 1; i < runs.size(); ++i) {
      if (runs[i].offset - (runs[last].offset + runs[last].length) <= gap) {
        runs[last].length = runs[i].offset + runs[i].length - runs[last].offset;
      } else {
        runs[++last] = runs[i];
      }
    }
    runs.resize(last + 1);
  }
}

namespace {

constexpr std::size_t kRuns = std::size_t{1} << 18U;

Error read_error(const os::Errno& error, const std::string& where) {
  return from_errno(ErrorCode::source_read, error.number, "read", where);
}

// Compares [run.offset, run.offset + run.length) of both and appends what differs.
Result<void> compare(os::Disk& disk, int now, int base, Extent run, std::uint32_t page_size,
                     std::span<std::byte> ours, std::span<std::byte> theirs,
                     std::vector<Extent>& out, const std::string& where) {
  for (std::uint64_t done = 0; done < run.length;) {
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(ours.size(), run.length - done));
    const std::uint64_t at = run.offset + done;
    auto a = disk.read_at(now, at, ours.first(wanted));
    if (!a) return read_error(a.error(), where);
    auto b = disk.read_at(base, at, theirs.first(wanted));
    if (!b) return read_error(b.error(), where);
    if (*a != wanted || *b != wanted) {
      return make_error(ErrorCode::source_read, "the file became shorter while it was read", where);
    }
    for (std::size_t page = 0; page < wanted; page += page_size) {
      const std::size_t length = std::min<std::size_t>(page_size, wanted - page);
      if (std::memcmp(ours.data() + page, theirs.data() + page, length) != 0) {
        append_run(out, at + page, length);
        if (out.size() > 2 * kRuns) coarsen(out, kRuns, page_size);
      }
    }
    done += wanted;
  }
  return {};
}

}  // namespace

Result<std::vector<Extent>> differing_pages(os::Disk& disk, int now, int base,
                                            std::uint32_t page_size, const std::string& where) {
  auto ours = disk.stat(now);
  if (!ours) return read_error(ours.error(), where);
  auto theirs = disk.stat(base);
  if (!theirs) return read_error(theirs.error(), where);
  const auto size = static_cast<std::uint64_t>(std::min(ours->st_size, theirs->st_size));

  std::vector<Extent> candidates = {{0, size}};
  auto id = disk.file_system_id(now);
  auto base_id = disk.file_system_id(base);
  if (id && base_id && *id == *base_id) {
    // Physical places mean something within one file system only. Without maps all is compared.
    auto map = disk.map_extents(now, true);
    auto base_map = disk.map_extents(base, true);
    if (map && base_map) candidates = not_shared(*map, *base_map, size, page_size);
  }
  constexpr std::size_t kChunk = 1U << 20U;  // a multiple of every page size
  std::vector<std::byte> buffer(2 * kChunk);
  const std::span<std::byte> whole(buffer);
  std::vector<Extent> out;
  for (const Extent& run : candidates) {
    LOCKSTEP_CHECK(compare(disk, now, base, run, page_size, whole.first(kChunk),
                           whole.subspan(kChunk), out, where));
  }
  coarsen(out, kRuns, page_size);
  return out;
}

}  // namespace lockstep::sqlite
