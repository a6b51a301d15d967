// What files are: mode, owner, times, extended attributes.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>

#include "common/os/kernel_disk.hpp"

namespace lockstep::os {

namespace {

std::array<::timespec, 2> both(Times times) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  std::int64_t whole = times.mtime_ns / kSecond;
  std::int64_t rest = times.mtime_ns % kSecond;
  if (rest < 0) {  // before 1970: tv_nsec counts upwards all the same
    rest += kSecond;
    --whole;
  }
  const ::timespec instant{whole, rest};
  return {instant, instant};
}

// There is no *xattrat before Linux 6.13; the magic link of the directory gives the same.
std::string through_proc(int directory, const std::string& path) {
  if (directory == kCwd || (!path.empty() && path.front() == '/')) return path;
  return "/proc/self/fd/" + std::to_string(directory) + "/" + path;
}

std::vector<std::string> split_names(const std::string& joined) {
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin < joined.size();) {
    const std::size_t end = joined.find('\0', begin);
    names.push_back(joined.substr(begin, end - begin));
    if (end == std::string::npos) break;
    begin = end + 1;
  }
  return names;
}

// Asks for the size, then for the value, until both fit: it may grow between the two.
template <class Call>
Sys<std::string> sized(Call call) {
  for (;;) {
    const ssize_t size = retried([&] { return call(nullptr, std::size_t{0}); });
    if (size < 0) return Errno{errno};
    std::string value(static_cast<std::size_t>(size), '\0');
    if (size == 0) return value;
    const ssize_t got = retried([&] { return call(value.data(), value.size()); });
    if (got >= 0) {
      value.resize(static_cast<std::size_t>(got));
      return value;
    }
    if (errno != ERANGE) return Errno{errno};
  }
}

Sys<std::vector<std::string>> names_of(Sys<std::string> joined) {
  if (!joined) return joined.error();
  return split_names(*joined);
}

}  // namespace

Sys<struct ::stat> KernelDisk::stat(int fd) {
  struct ::stat info {};
  if (::fstat(fd, &info) != 0) return Errno{errno};
  return info;
}

Sys<struct ::stat> KernelDisk::stat_at(int directory, const std::string& path) {
  struct ::stat info {};
  if (::fstatat(directory, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return Errno{errno};
  return info;
}

Sys<void> KernelDisk::change_mode(int fd, mode_t mode) {
  return checked([&] { return ::fchmod(fd, mode); });
}

Sys<void> KernelDisk::change_mode_at(int directory, const std::string& path, mode_t mode) {
  return checked([&] { return ::fchmodat(directory, path.c_str(), mode, AT_SYMLINK_NOFOLLOW); });
}

Sys<void> KernelDisk::change_owner(int fd, uid_t uid, gid_t gid) {
  return checked([&] { return ::fchown(fd, uid, gid); });
}

Sys<void> KernelDisk::change_owner_at(int directory, const std::string& path, uid_t uid,
                                      gid_t gid) {
  return checked(
      [&] { return ::fchownat(directory, path.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW); });
}

Sys<void> KernelDisk::set_times(int fd, Times times) {
  return checked([&] { return ::futimens(fd, both(times).data()); });
}

Sys<void> KernelDisk::set_times_at(int directory, const std::string& path, Times times) {
  return checked([&] {
    return ::utimensat(directory, path.c_str(), both(times).data(), AT_SYMLINK_NOFOLLOW);
  });
}

Sys<std::vector<std::string>> KernelDisk::list_xattrs(int fd) {
  return names_of(sized([&](char* to, std::size_t size) { return ::flistxattr(fd, to, size); }));
}

Sys<std::string> KernelDisk::get_xattr(int fd, const std::string& name) {
  return sized([&](char* to, std::size_t size) { return ::fgetxattr(fd, name.c_str(), to, size); });
}

Sys<void> KernelDisk::set_xattr(int fd, const std::string& name, std::string_view value) {
  return checked([&] { return ::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0); });
}

Sys<void> KernelDisk::remove_xattr(int fd, const std::string& name) {
  return checked([&] { return ::fremovexattr(fd, name.c_str()); });
}

Sys<std::vector<std::string>> KernelDisk::list_xattrs_at(int directory, const std::string& path) {
  const std::string whole = through_proc(directory, path);
  return names_of(
      sized([&](char* to, std::size_t size) { return ::llistxattr(whole.c_str(), to, size); }));
}

Sys<std::string> KernelDisk::get_xattr_at(int directory, const std::string& path,
                                          const std::string& name) {
  const std::string whole = through_proc(directory, path);
  return sized([&](char* to, std::size_t size) {
    return ::lgetxattr(whole.c_str(), name.c_str(), to, size);
  });
}

Sys<void> KernelDisk::set_xattr_at(int directory, const std::string& path, const std::string& name,
                                   std::string_view value) {
  const std::string whole = through_proc(directory, path);
  return checked(
      [&] { return ::lsetxattr(whole.c_str(), name.c_str(), value.data(), value.size(), 0); });
}

}  // namespace lockstep::os
