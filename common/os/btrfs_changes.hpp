// What btrfs itself knows of the difference between two read-only snapshots, and of the names of an
// inode. Needs rights that an ordinary user has not (CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH): then the
// error is EPERM.
//
// Thread rule: one thread an object; the functions any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/os/disk.hpp"

namespace lockstep::os {

// The bytes of a send stream (fs/btrfs/send.h of the kernel) as the kernel makes them. Destroying
// it ends the making.
class SendStream {
 public:
  virtual ~SendStream() = default;
  // The next bytes; 0 at the end. The error of the making comes after the last byte.
  virtual Sys<std::size_t> read(std::span<std::byte> into) = 0;
};

// BTRFS_IOC_SEND with BTRFS_SEND_FLAG_NO_FILE_DATA (linux/btrfs.h), version 1: what turns the
// snapshot with the root id `parent` (SubvolumeInfo::id) into the one opened as `snapshot`. What
// both share is passed over by the kernel without a look at it.
Sys<std::unique_ptr<SendStream>> send_changes(int snapshot, std::uint64_t parent);

// BTRFS_IOC_INO_PATHS: all names of an inode of the subvolume opened as `subvolume`, relative to
// its root. Nothing where there are more than the kernel tells.
Sys<std::optional<std::vector<std::string>>> inode_paths(int subvolume, std::uint64_t inode);

// BTRFS_IOC_GET_SUBVOL_ROOTREF: whether any subvolume lies directly inside this one. A snapshot has
// none. Works for any user who can open it.
Sys<bool> has_subvolumes(int subvolume);

}  // namespace lockstep::os
