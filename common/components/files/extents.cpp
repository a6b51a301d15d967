#include "common/components/files/extents.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace lockstep::files {

using component::Extent;
using os::MappedExtent;

namespace {

// What one map says of the bytes from a position on.
struct Piece {
  enum class What { hole, known, unknown } what = What::hole;
  std::uint64_t physical = 0;  // of the position
  bool unwritten = false;
  std::uint64_t end = 0;  // the next position at which this changes
};

Piece piece_at(const std::vector<MappedExtent>& map, std::size_t& index, std::uint64_t at,
               std::uint64_t size) {
  while (index < map.size() && map[index].logical + map[index].length <= at) ++index;
  if (index == map.size()) return {Piece::What::hole, 0, false, size};
  const MappedExtent& extent = map[index];
  if (extent.logical > at) {
    return {Piece::What::hole, 0, false, std::min(extent.logical, size)};
  }
  const std::uint64_t end = std::min(extent.logical + extent.length, size);
  if (!extent.known) return {Piece::What::unknown, 0, false, end};
  return {Piece::What::known, extent.physical + (at - extent.logical), extent.unwritten, end};
}

bool same(const Piece& a, const Piece& b) {
  if (a.what != b.what || a.what == Piece::What::unknown) return false;
  return a.what == Piece::What::hole || (a.physical == b.physical && a.unwritten == b.unwritten);
}

void append(std::vector<Extent>& runs, std::uint64_t from, std::uint64_t end) {
  if (!runs.empty() && runs.back().offset + runs.back().length >= from) {
    runs.back().length =
        std::max(runs.back().offset + runs.back().length, end) - runs.back().offset;
  } else {
    runs.push_back({from, end - from});
  }
}

}  // namespace

std::vector<Extent> not_shared(const std::vector<MappedExtent>& a,
                               const std::vector<MappedExtent>& b, std::uint64_t size) {
  std::vector<Extent> runs;
  std::size_t in_a = 0;
  std::size_t in_b = 0;
  for (std::uint64_t at = 0; at < size;) {
    const Piece of_a = piece_at(a, in_a, at, size);
    const Piece of_b = piece_at(b, in_b, at, size);
    const std::uint64_t end = std::min(of_a.end, of_b.end);
    if (!same(of_a, of_b)) append(runs, at, end);
    at = end;
  }
  return runs;
}

std::vector<Extent> widen(const std::vector<Extent>& runs, std::uint64_t block,
                          std::uint64_t size) {
  std::vector<Extent> out;
  for (const Extent& run : runs) {
    const std::uint64_t from = run.offset / block * block;
    const std::uint64_t end = (run.offset + run.length + block - 1) / block * block;
    append(out, from, std::min(end, size));
  }
  return out;
}

os::Sys<std::vector<Extent>> differing(os::Disk& disk, int a, int b,
                                       const std::vector<Extent>& runs, std::uint64_t block) {
  constexpr std::size_t kAtOnce = 512 * 1024;
  std::vector<std::byte> of_a(kAtOnce);
  std::vector<std::byte> of_b(kAtOnce);
  std::vector<Extent> out;
  for (const Extent& run : runs) {
    const std::uint64_t end = run.offset + run.length;
    for (std::uint64_t at = run.offset; at < end;) {
      const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(kAtOnce, end - at));
      auto got_a = disk.read_at(a, at, std::span(of_a).first(length));
      if (!got_a) return got_a.error();
      auto got_b = disk.read_at(b, at, std::span(of_b).first(length));
      if (!got_b) return got_b.error();
      if (*got_a != length || *got_b != length) return os::Errno{EIO};  // shorter than it was said
      for (std::size_t in = 0; in < length; in += block) {
        const std::size_t part = std::min<std::size_t>(block, length - in);
        if (std::memcmp(of_a.data() + in, of_b.data() + in, part) != 0) {
          append(out, at + in, at + in + part);
        }
      }
      at += length;
    }
  }
  return out;
}

}  // namespace lockstep::files
