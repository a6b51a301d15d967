#include "common/components/files/metadata.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace lockstep::files {

using component::EntryKind;
using component::Extent;
using component::Xattr;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr mode_t kCarriedMode = 07777;
constexpr std::string_view kOfHdfs = "hdfs.";
constexpr std::string_view kOnDisk = "user.lockstep.hdfs.";

std::string carried_name(const std::string& name) {
  return name.starts_with(kOnDisk) ? name.substr(kOnDisk.size() - kOfHdfs.size()) : name;
}

EntryKind kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return EntryKind::directory;
    case S_IFLNK:
      return EntryKind::symlink;
    case S_IFIFO:
      return EntryKind::fifo;
    case S_IFSOCK:
      return EntryKind::socket;
    case S_IFCHR:
      return EntryKind::char_device;
    case S_IFBLK:
      return EntryKind::block_device;
    default:
      return EntryKind::regular;
  }
}

template <class Get>
os::Sys<std::vector<Xattr>> read_all(os::Sys<std::vector<std::string>> names, Get get) {
  if (!names) {
    if (names.error().number == EOPNOTSUPP || names.error().number == ENOSYS) {
      return std::vector<Xattr>{};
    }
    return names.error();
  }
  std::vector<Xattr> out;
  for (std::string& name : *names) {
    if (!is_carried_xattr(name)) continue;
    os::Sys<std::string> value = get(name);
    if (!value) {
      // Gone between the two calls, or listed though it may not be read: not there for us.
      if (value.error().number == ENODATA) continue;
      return value.error();
    }
    out.push_back({carried_name(name), std::move(*value)});
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

bool is_carried_xattr(std::string_view name) {
  return name.starts_with("user.") || name.starts_with("trusted.") ||
         name.starts_with("security.") || name == "system.posix_acl_access" ||
         name == "system.posix_acl_default";
}

std::string name_on_disk(const std::string& name) {
  if (!name.starts_with(kOfHdfs)) return name;
  return std::string(kOnDisk) + name.substr(kOfHdfs.size());
}

bool is_entrys_xattr(const std::string& name) {
  return is_carried_xattr(name_on_disk(name)) && !name.starts_with(kOnDisk);
}

std::int64_t mtime_ns(const struct ::stat& info) {
  return info.st_mtim.tv_sec * kSecond + info.st_mtim.tv_nsec;
}

std::int64_t ctime_ns(const struct ::stat& info) {
  return info.st_ctim.tv_sec * kSecond + info.st_ctim.tv_nsec;
}

void take_stat(const struct ::stat& info, component::Entry& entry) {
  entry.kind = kind_of(info.st_mode);
  entry.mode = entry.kind == EntryKind::symlink ? 0 : info.st_mode & kCarriedMode;
  entry.uid = info.st_uid;
  entry.gid = info.st_gid;
  entry.mtime_ns = mtime_ns(info);
  if (entry.kind == EntryKind::regular) entry.size = static_cast<std::uint64_t>(info.st_size);
  if (entry.kind == EntryKind::char_device || entry.kind == EntryKind::block_device) {
    entry.device = info.st_rdev;
  }
}

os::Sys<std::vector<Xattr>> read_xattrs(os::Disk& disk, int fd) {
  return read_all(disk.list_xattrs(fd),
                  [&](const std::string& name) { return disk.get_xattr(fd, name); });
}

os::Sys<std::vector<Xattr>> read_xattrs_at(os::Disk& disk, int directory, const std::string& name) {
  return read_all(disk.list_xattrs_at(directory, name), [&](const std::string& xattr) {
    return disk.get_xattr_at(directory, name, xattr);
  });
}

bool may_have_holes(const struct ::stat& info) {
  constexpr blkcnt_t kBlock = 512;  // st_blocks counts in these, whatever the file system's own
  return S_ISREG(info.st_mode) && info.st_blocks * kBlock < info.st_size;
}

os::Sys<std::vector<Extent>> find_holes(os::Disk& disk, int fd, std::uint64_t size) {
  std::vector<Extent> holes;
  for (std::uint64_t at = 0; at < size;) {
    auto data = disk.seek_data(fd, at);
    if (!data) {
      // A file system that does not know holes has none to tell of.
      if (data.error().number == EINVAL || data.error().number == EOPNOTSUPP) break;
      return data.error();
    }
    const std::uint64_t hole_end = std::min(data->value_or(size), size);
    if (hole_end > at) holes.push_back({at, hole_end - at});
    if (!data->has_value() || hole_end == size) break;
    auto hole = disk.seek_hole(fd, hole_end);
    if (!hole) return hole.error();
    at = hole->value_or(size);
  }
  return holes;
}

}  // namespace lockstep::files
