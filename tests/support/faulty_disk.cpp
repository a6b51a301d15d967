#include "tests/support/faulty_disk.hpp"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace lockstep::test {

namespace {

std::string path_of(int fd) {
  std::array<char, PATH_MAX> text{};
  const std::string link =
      fd == os::kCwd ? "/proc/self/cwd" : "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), text.data(), text.size());
  return length < 0 ? std::string{} : std::string(text.data(), static_cast<std::size_t>(length));
}

}  // namespace

void FaultyDisk::full_after(std::uint64_t bytes, std::string only_under) {
  const std::scoped_lock lock(guard_);
  limited_ = true;
  left_ = bytes;
  only_under_ = std::move(only_under);
  met_ = 0;
}

void FaultyDisk::free_space() {
  const std::scoped_lock lock(guard_);
  limited_ = false;
}

void FaultyDisk::fail_read(std::string path_end, std::uint64_t offset) {
  const std::scoped_lock lock(guard_);
  read_path_end_ = std::move(path_end);
  read_offset_ = offset;
  met_ = 0;
}

void FaultyDisk::fail_open(std::string path_end, int number) {
  const std::scoped_lock lock(guard_);
  open_path_end_ = std::move(path_end);
  open_error_ = number;
  met_ = 0;
}

void FaultyDisk::heal() {
  const std::scoped_lock lock(guard_);
  read_path_end_.clear();
  open_path_end_.clear();
}

// How many of `wanted` bytes still fit.
std::uint64_t FaultyDisk::take(int fd, std::uint64_t wanted) {
  const std::scoped_lock lock(guard_);
  if (!limited_ || (!only_under_.empty() && !path_of(fd).starts_with(only_under_))) return wanted;
  const std::uint64_t taken = std::min(left_, wanted);
  left_ -= taken;
  if (taken < wanted) ++met_;
  return taken;
}

bool FaultyDisk::nothing_left(int directory, const std::string& path) {
  const std::scoped_lock lock(guard_);
  if (!limited_ || left_ > 0) return false;
  const std::string whole = path.starts_with("/") ? path : path_of(directory) + "/" + path;
  if (!only_under_.empty() && !whole.starts_with(only_under_)) return false;
  ++met_;
  return true;
}

std::optional<Errno> FaultyDisk::refused_open(const std::string& path) {
  const std::scoped_lock lock(guard_);
  if (open_path_end_.empty() || !path.ends_with(open_path_end_)) return std::nullopt;
  ++met_;
  return Errno{open_error_};
}

Sys<Fd> FaultyDisk::open(int directory, const std::string& path, int flags, mode_t mode) {
  if (auto refused = refused_open(path)) return *refused;
  if ((flags & O_CREAT) != 0 && !under_.stat_at(directory, path) && nothing_left(directory, path)) {
    return Errno{ENOSPC};
  }
  return under_.open(directory, path, flags, mode);
}

Sys<Fd> FaultyDisk::open_beneath(int directory, const std::string& path, int flags, mode_t mode) {
  if (auto refused = refused_open(path)) return *refused;
  if ((flags & O_CREAT) != 0 && !under_.stat_at(directory, path) && nothing_left(directory, path)) {
    return Errno{ENOSPC};
  }
  return under_.open_beneath(directory, path, flags, mode);
}

Sys<std::size_t> FaultyDisk::read_at(int fd, std::uint64_t offset, std::span<std::byte> into) {
  {
    const std::scoped_lock lock(guard_);
    if (!read_path_end_.empty() && offset <= read_offset_ && read_offset_ < offset + into.size() &&
        path_of(fd).ends_with(read_path_end_)) {
      ++met_;
      return Errno{EIO};
    }
  }
  return under_.read_at(fd, offset, into);
}

Sys<void> FaultyDisk::write_at(int fd, std::uint64_t offset, std::span<const std::byte> data) {
  const std::uint64_t fits = take(fd, data.size());
  if (fits == data.size()) return under_.write_at(fd, offset, data);
  if (fits > 0) {
    if (auto part = under_.write_at(fd, offset, data.first(fits)); !part) return part;
  }
  return Errno{ENOSPC};
}

Sys<void> FaultyDisk::reflink(int to_fd, int from_fd) {
  // A clone takes metadata only; it fails where nothing is left.
  if (take(to_fd, 1) == 0) return Errno{ENOSPC};
  return under_.reflink(to_fd, from_fd);
}

Sys<std::size_t> FaultyDisk::copy_range(int from_fd, std::uint64_t from, int to_fd,
                                        std::uint64_t to, std::size_t length) {
  const std::uint64_t fits = take(to_fd, length);
  if (fits == 0 && length > 0) return Errno{ENOSPC};
  return under_.copy_range(from_fd, from, to_fd, to, fits);
}

Sys<void> FaultyDisk::make_directory(int directory, const std::string& path, mode_t mode) {
  if (nothing_left(directory, path)) return Errno{ENOSPC};
  return under_.make_directory(directory, path, mode);
}

Sys<void> FaultyDisk::symlink(const std::string& text, int directory, const std::string& path) {
  if (nothing_left(directory, path)) return Errno{ENOSPC};
  return under_.symlink(text, directory, path);
}

Sys<void> FaultyDisk::link(int from_directory, const std::string& from, int to_directory,
                           const std::string& to) {
  if (nothing_left(to_directory, to)) return Errno{ENOSPC};
  return under_.link(from_directory, from, to_directory, to);
}

}  // namespace lockstep::test
