// What btrfs itself knows: the difference between two read-only snapshots, the names of an inode,
// where subvolumes are nested. Needs rights that an ordinary user has not (CAP_SYS_ADMIN,
// CAP_DAC_READ_SEARCH): then the error is EPERM.
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

// BTRFS_IOC_GET_SUBVOL_ROOTREF and BTRFS_IOC_INO_LOOKUP: the directories of this subvolume in which
// other subvolumes lie, relative to its root ("" the root itself), one for each of them.
Sys<std::vector<std::string>> directories_of_nested(int subvolume);

}  // namespace lockstep::os
