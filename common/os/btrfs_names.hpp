// What btrfs itself knows of names: those of an inode, the way to a directory, where subvolumes are
// nested. Needs rights that an ordinary user has not (CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH): then the
// error is EPERM.
//
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/os/disk.hpp"

namespace lockstep::os {

// BTRFS_IOC_INO_PATHS: all names of an inode of the subvolume opened as `subvolume`, relative to
// its root. Nothing where there are more than the kernel tells.
Sys<std::optional<std::vector<std::string>>> inode_paths(int subvolume, std::uint64_t inode);

// BTRFS_IOC_INO_LOOKUP: the way from the root of the subvolume opened as `subvolume` to one of its
// directories; "" the root's own.
Sys<std::string> directory_path(int subvolume, std::uint64_t inode);

// BTRFS_IOC_GET_SUBVOL_ROOTREF and BTRFS_IOC_INO_LOOKUP: the directories of this subvolume in which
// other subvolumes lie, relative to its root ("" the root itself), one for each of them.
Sys<std::vector<std::string>> directories_of_nested(int subvolume);

}  // namespace lockstep::os
