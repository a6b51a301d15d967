#include "common/os/durable.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

namespace lockstep::os {

namespace {

Error write_error(os::Errno error, std::string_view act, const std::string& where) {
  const int number = error.number;
  const auto code = number == ENOSPC || number == EDQUOT  ? ErrorCode::no_space
                    : number == EACCES || number == EPERM ? ErrorCode::permission
                                                          : ErrorCode::target_write;
  return from_errno(code, number, act, where);
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

Result<void> sync_directory(os::Disk& disk, const std::string& path) {
  auto directory = disk.open(os::kCwd, path, O_RDONLY | O_DIRECTORY);
  if (!directory) return write_error(directory.error(), "open the directory", path);
  if (auto synced = disk.fsync(directory->get()); !synced) {
    return write_error(synced.error(), "sync the directory", path);
  }
  return {};
}

Result<void> write_part(os::Disk& disk, const std::string& part, std::string_view content) {
  auto file = disk.open(os::kCwd, part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (!file) return write_error(file.error(), "make the file", part);
  if (auto put = disk.write_at(file->get(), 0, std::as_bytes(std::span(content))); !put) {
    return write_error(put.error(), "write the file", part);
  }
  if (auto synced = disk.fsync(file->get()); !synced) {
    return write_error(synced.error(), "sync the file", part);
  }
  return {};
}

}  // namespace

Result<void> make_directories(os::Disk& disk, const std::string& path) {
  if (path.empty() || path == "/") return {};
  if (auto there = disk.open(os::kCwd, path, O_RDONLY | O_DIRECTORY)) return {};
  LOCKSTEP_CHECK(make_directories(disk, parent_of(path)));
  auto made = disk.make_directory(os::kCwd, path, 0700);
  if (!made && made.error().number != EEXIST) {
    return write_error(made.error(), "make the directory", path);
  }
  return sync_directory(disk, parent_of(path));
}

Result<void> write_durably(os::Disk& disk, const std::string& path, std::string_view content,
                           const std::function<Result<void>()>& last_check) {
  const std::string part = path + ".part";
  auto written = write_part(disk, part, content);
  if (written && last_check) written = last_check();
  if (!written) {
    auto removed = disk.unlink(os::kCwd, part);
    // The first error is what went wrong; a part that stays is removed at the next start.
    (void)removed.has_value();
    return written;
  }
  if (auto moved = disk.rename(os::kCwd, part, os::kCwd, path); !moved) {
    return write_error(moved.error(), "rename the file into its place", path);
  }
  return sync_directory(disk, parent_of(path));
}

Result<void> remove_durably(os::Disk& disk, const std::string& path) {
  if (auto removed = disk.unlink(os::kCwd, path); !removed) {
    if (removed.error().number == ENOENT) return {};
    return write_error(removed.error(), "remove the file", path);
  }
  return sync_directory(disk, parent_of(path));
}

Result<std::string> read_file(os::Disk& disk, const std::string& path, std::uint64_t limit) {
  auto file = disk.open(os::kCwd, path, O_RDONLY);
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

Result<std::vector<std::string>> names_in(os::Disk& disk, const std::string& path) {
  std::vector<std::string> names;
  auto directory = disk.open(os::kCwd, path, O_RDONLY | O_DIRECTORY);
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
