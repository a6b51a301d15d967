#include "common/os/whole_file.hpp"

#include <fcntl.h>

#include <span>

namespace lockstep::os {

Result<std::string> read_whole(Disk& disk, const std::string& path, ErrorCode code) {
  auto file = disk.open(kCwd, path, O_RDONLY);
  if (!file) return from_errno(code, file.error().number, "open", path);
  std::string text;
  while (true) {
    constexpr std::size_t kStep = 64 * 1024;
    const std::size_t had = text.size();
    text.resize(had + kStep);
    auto count =
        disk.read_at(file->get(), had, std::as_writable_bytes(std::span(text).subspan(had)));
    if (!count) return from_errno(code, count.error().number, "read", path);
    text.resize(had + *count);
    if (*count == 0) return text;
  }
}

}  // namespace lockstep::os
