// File systems: what they are, what is left on them, and btrfs's subvolumes.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "common/os/kernel_disk.hpp"

namespace lockstep::os {

namespace {

// Of <xfs/xfs_fs.h>, which only xfslibs-dev installs: what every XFS since 2001 answers.
struct XfsGeometryV1 {
  std::uint32_t before_counts[8];
  std::uint64_t counts[4];
  unsigned char uuid[16];
  std::uint32_t after_uuid[7];
};
constexpr unsigned long kXfsGeometryV1 = _IOR('X', 100, XfsGeometryV1);

std::string name_of(long magic) {
  struct Row {
    long magic;
    const char* name;
  };
  constexpr Row kNames[] = {
      {BTRFS_SUPER_MAGIC, "btrfs"},
      {XFS_SUPER_MAGIC, "xfs"},
      {EXT4_SUPER_MAGIC, "ext4"},
      {TMPFS_MAGIC, "tmpfs"},
      {OVERLAYFS_SUPER_MAGIC, "overlayfs"},
      {NFS_SUPER_MAGIC, "nfs"},
      {FUSE_SUPER_MAGIC, "fuse"},
      {F2FS_SUPER_MAGIC, "f2fs"},
      {0x2fc12fc1, "zfs"},
      {RAMFS_MAGIC, "ramfs"},
      {SMB2_SUPER_MAGIC, "smb2"},
      {CIFS_SUPER_MAGIC, "cifs"},
  };
  for (const auto& row : kNames) {
    if (row.magic == magic) return row.name;
  }
  return fmt::format("{:#x}", magic);
}

template <class Bytes>
std::string hexadecimal(const Bytes& bytes) {
  std::string out;
  for (const unsigned char byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

// Subvolume ioctls act on an opened directory; kCwd and O_PATH descriptors are none.
Sys<Fd> real_directory(Disk& disk, int directory) {
  return disk.open(directory, ".", O_RDONLY | O_DIRECTORY);
}

Sys<void> put_name(std::span<char> into, const std::string& name) {
  if (name.size() >= into.size()) return Errno{ENAMETOOLONG};
  std::copy(name.begin(), name.end(), into.begin());
  return {};
}

}  // namespace

Sys<FileSystemInfo> KernelDisk::file_system(int fd) {
  struct ::statfs info {};
  if (retried([&] { return ::fstatfs(fd, &info); }) != 0) return Errno{errno};
  const long magic = static_cast<long>(static_cast<unsigned long>(info.f_type) & 0xffffffffUL);
  return FileSystemInfo{magic, name_of(magic), (info.f_flags & ST_RDONLY) != 0};
}

Sys<SpaceInfo> KernelDisk::space(int fd) {
  struct ::statfs info {};
  if (retried([&] { return ::fstatfs(fd, &info); }) != 0) return Errno{errno};
  const auto unit = static_cast<std::uint64_t>(info.f_frsize != 0 ? info.f_frsize : info.f_bsize);
  return SpaceInfo{info.f_bavail * unit, info.f_blocks * unit, info.f_ffree, info.f_files};
}

Sys<std::string> KernelDisk::file_system_id(int fd) {
  auto kind = file_system(fd);
  if (!kind) return kind.error();
  if (kind->magic == BTRFS_SUPER_MAGIC) {
    ::btrfs_ioctl_fs_info_args info{};
    if (retried([&] { return ::ioctl(fd, BTRFS_IOC_FS_INFO, &info); }) != 0) return Errno{errno};
    return "btrfs:" + hexadecimal(info.fsid);
  }
  if (kind->magic == XFS_SUPER_MAGIC) {
    XfsGeometryV1 info{};
    if (retried([&] { return ::ioctl(fd, kXfsGeometryV1, &info); }) != 0) return Errno{errno};
    return "xfs:" + hexadecimal(info.uuid);
  }
  auto info = stat(fd);
  if (!info) return info.error();
  return fmt::format("{}:{}:{}", kind->name, major(info->st_dev), minor(info->st_dev));
}

Sys<void> KernelDisk::create_subvolume(int directory, const std::string& name) {
  auto where = real_directory(*this, directory);
  if (!where) return where.error();
  ::btrfs_ioctl_vol_args_v2 request{};
  if (auto put = put_name(request.name, name); !put) return put.error();
  return checked([&] { return ::ioctl(where->get(), BTRFS_IOC_SUBVOL_CREATE_V2, &request); });
}

Sys<void> KernelDisk::snapshot_subvolume(int directory, const std::string& name, int source_fd,
                                         bool read_only) {
  auto where = real_directory(*this, directory);
  if (!where) return where.error();
  ::btrfs_ioctl_vol_args_v2 request{};
  request.fd = source_fd;
  request.flags = read_only ? BTRFS_SUBVOL_RDONLY : 0;
  if (auto put = put_name(request.name, name); !put) return put.error();
  return checked([&] { return ::ioctl(where->get(), BTRFS_IOC_SNAP_CREATE_V2, &request); });
}

Sys<void> KernelDisk::destroy_subvolume(int directory, const std::string& name) {
  auto where = real_directory(*this, directory);
  if (!where) return where.error();
  ::btrfs_ioctl_vol_args request{};
  if (auto put = put_name(request.name, name); !put) return put.error();
  return checked([&] { return ::ioctl(where->get(), BTRFS_IOC_SNAP_DESTROY, &request); });
}

Sys<void> KernelDisk::set_subvolume_read_only(int fd, bool read_only) {
  std::uint64_t flags = 0;
  if (retried([&] { return ::ioctl(fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags); }) != 0) {
    return Errno{errno};
  }
  flags = read_only ? flags | BTRFS_SUBVOL_RDONLY
                    : flags & ~static_cast<std::uint64_t>(BTRFS_SUBVOL_RDONLY);
  return checked([&] { return ::ioctl(fd, BTRFS_IOC_SUBVOL_SETFLAGS, &flags); });
}

Sys<SubvolumeInfo> KernelDisk::subvolume_info(int fd) {
  ::btrfs_ioctl_get_subvol_info_args info{};
  // Success is told by 1 as well as 0: the kernel passes on what its tree search gave.
  if (retried([&] { return ::ioctl(fd, BTRFS_IOC_GET_SUBVOL_INFO, &info); }) < 0) {
    return Errno{errno};
  }
  // `flags` are the root item's own (BTRFS_ROOT_SUBVOL_RDONLY), not the ioctl's.
  constexpr std::uint64_t kRootReadOnly = 1;
  return SubvolumeInfo{hexadecimal(info.uuid),
                       hexadecimal(info.parent_uuid),
                       info.otransid,
                       info.ctransid,
                       info.treeid,
                       (info.flags & kRootReadOnly) != 0};
}

std::unique_ptr<Disk> make_kernel_disk() { return std::make_unique<KernelDisk>(); }

}  // namespace lockstep::os
