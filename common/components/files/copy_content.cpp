#include "common/components/files/copy_content.hpp"

#include <algorithm>
#include <cerrno>
#include <span>
#include <vector>

namespace lockstep::files {

namespace {

constexpr std::size_t kCopyBuffer = 1 << 20;

// By the kernel where it can (copy_file_range), else through memory.
os::Sys<void> copy_run(os::Disk& disk, int from, int to, std::uint64_t at, std::uint64_t end) {
  bool through_memory = false;
  std::vector<std::byte> buffer;
  while (at < end) {
    if (!through_memory) {
      auto copied = disk.copy_range(from, at, to, at, static_cast<std::size_t>(end - at));
      if (copied && *copied > 0) {
        at += *copied;
        continue;
      }
      if (!copied && copied.error().number != EXDEV && copied.error().number != EINVAL &&
          copied.error().number != EOPNOTSUPP && copied.error().number != ENOSYS) {
        return copied.error();
      }
      through_memory = true;
      buffer.resize(kCopyBuffer);
    }
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(kCopyBuffer, end - at));
    auto got = disk.read_at(from, at, std::span(buffer).first(part));
    if (!got) return got.error();
    if (*got == 0) return os::Errno{EIO};  // shorter than it was said
    if (auto put = disk.write_at(to, at, std::span(buffer).first(*got)); !put) return put.error();
    at += *got;
  }
  return {};
}

}  // namespace

os::Sys<void> copy_content(os::Disk& disk, int from, int to, std::uint64_t size) {
  if (size == 0) return {};
  if (disk.reflink(to, from)) return {};
  // The size first: what is not copied is a hole.
  if (auto sized = disk.truncate(to, size); !sized) return sized.error();
  for (std::uint64_t at = 0; at < size;) {
    std::uint64_t end = size;
    auto data = disk.seek_data(from, at);
    if (data) {
      if (!data->has_value() || **data >= size) break;
      at = **data;
      auto hole = disk.seek_hole(from, at);
      if (!hole) return hole.error();
      end = std::min(hole->value_or(size), size);
    } else if (data.error().number != EINVAL && data.error().number != EOPNOTSUPP) {
      return data.error();  // else: a file system that knows no holes
    }
    if (auto copied = copy_run(disk, from, to, at, end); !copied) return copied.error();
    at = end;
  }
  return {};
}

}  // namespace lockstep::files
