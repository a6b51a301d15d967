#include "common/os/whole_file.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
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

Result<std::string> read_file(Disk& disk, const std::string& path, std::uint64_t limit) {
  auto file = disk.open(kCwd, path, O_RDONLY);
  if (!file) {
    const int number = file.error().number;
    return from_errno(number == ENOENT ? ErrorCode::not_found : ErrorCode::source_read, number,
                      "open the file", path);
  }
  auto info = disk.stat(file->get());
  if (!info) return from_errno(ErrorCode::source_read, info.error().number, "look at", path);
  const auto size = static_cast<std::uint64_t>(info->st_size);
  if (size > limit) {
    return make_error(ErrorCode::source_read, "the file is larger than any of its kind", path);
  }
  std::string content(size, '\0');
  auto got = disk.read_at(file->get(), 0, std::as_writable_bytes(std::span(content)));
  if (!got) return from_errno(ErrorCode::source_read, got.error().number, "read the file", path);
  content.resize(*got);
  return content;
}

Result<std::vector<std::string>> names_in(Disk& disk, const std::string& path) {
  std::vector<std::string> names;
  auto directory = disk.open(kCwd, path, O_RDONLY | O_DIRECTORY);
  if (!directory) {
    if (directory.error().number == ENOENT) return names;
    return from_errno(ErrorCode::source_read, directory.error().number, "open the directory", path);
  }
  auto stream = disk.read_directory(directory->get());
  if (!stream) {
    return from_errno(ErrorCode::source_read, stream.error().number, "read the directory", path);
  }
  for (;;) {
    auto entry = (*stream)->next();
    if (!entry) {
      return from_errno(ErrorCode::source_read, entry.error().number, "read the directory", path);
    }
    if (!*entry) break;
    names.push_back((*entry)->name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace lockstep::os
