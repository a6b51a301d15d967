#include "common/os/btrfs_names.hpp"

#include <linux/btrfs.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace lockstep::os {

Sys<std::optional<std::vector<std::string>>> inode_paths(int subvolume, std::uint64_t inode) {
  using Answer = std::optional<std::vector<std::string>>;
  // The kernel gives at most 4,096 bytes whatever it is offered (btrfs_ioctl_ino_to_path).
  alignas(::btrfs_data_container) std::array<std::byte, 4096> room{};
  ::btrfs_ioctl_ino_path_args request{};
  request.inum = inode;
  request.size = room.size();
  request.fspath = reinterpret_cast<std::uintptr_t>(room.data());
  if (::ioctl(subvolume, BTRFS_IOC_INO_PATHS, &request) != 0) return Errno{errno};
  ::btrfs_data_container head{};
  std::memcpy(&head, room.data(), sizeof head);
  if (head.elem_missed != 0 || head.bytes_missing != 0) return Answer{};
  // `val` holds offsets from its own start; each leads to a string that ends with NUL.
  constexpr std::size_t kValues = offsetof(::btrfs_data_container, val);
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < head.elem_cnt; ++i) {
    std::uint64_t offset = 0;
    const std::size_t at = kValues + i * sizeof offset;
    if (at + sizeof offset > room.size()) return Errno{EIO};
    std::memcpy(&offset, room.data() + at, sizeof offset);
    if (offset >= room.size() - kValues) return Errno{EIO};
    const std::size_t from = kValues + static_cast<std::size_t>(offset);
    const void* end = std::memchr(room.data() + from, 0, room.size() - from);
    if (end == nullptr) return Errno{EIO};
    paths.emplace_back(reinterpret_cast<const char*>(room.data() + from));
  }
  return Answer{std::move(paths)};
}

Sys<std::string> directory_path(int subvolume, std::uint64_t inode) {
  ::btrfs_ioctl_ino_lookup_args request{};  // treeid 0: the subvolume itself
  request.objectid = inode;
  if (::ioctl(subvolume, BTRFS_IOC_INO_LOOKUP, &request) != 0) return Errno{errno};
  std::string path(request.name, ::strnlen(request.name, sizeof request.name));
  if (path.ends_with('/')) path.pop_back();
  return path;
}

Sys<std::vector<std::string>> directories_of_nested(int subvolume) {
  std::vector<std::string> directories;
  ::btrfs_ioctl_get_subvol_rootref_args nested{};
  for (bool more = true; more;) {
    more = false;
    if (::ioctl(subvolume, BTRFS_IOC_GET_SUBVOL_ROOTREF, &nested) != 0) {
      // More than one answer holds; `min_treeid` now says where the next one begins.
      if (errno != EOVERFLOW) return Errno{errno};
      more = true;
    }
    for (std::size_t i = 0; i < nested.num_items; ++i) {
      auto path = directory_path(subvolume, nested.rootref[i].dirid);
      if (!path) return path.error();
      directories.push_back(std::move(*path));
    }
  }
  return directories;
}

}  // namespace lockstep::os
