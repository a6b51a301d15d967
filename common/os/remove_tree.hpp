// Removes a tree that Lockstep made, whatever modes its directories carry.
#pragma once

#include <string>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::os {

// Removes `name` in `directory` (a descriptor, or kCwd with a path) and all it holds;
// subvolumes in it are destroyed. Of what is gone already: success. Symbolic links are removed,
// never followed. Errors: permission, target-write.
Result<void> remove_tree(Disk& disk, int directory, const std::string& name);

// The same for a btrfs subvolume. Where the kernel refuses to destroy it to an unprivileged user
// (no user_subvol_rm_allowed), it is emptied and removed as a directory. Error: permission.
Result<void> remove_subvolume(Disk& disk, int directory, const std::string& name);

}  // namespace lockstep::os
