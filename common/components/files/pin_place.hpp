// Looks at the place of a data set: how it can be pinned.
#pragma once

#include <string>

#include "common/component/data_set.hpp"
#include "common/components/files/exclude.hpp"
#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

struct PinPlace {
  os::Fd root;              // the set's directory
  std::string canonical;    // its path without symbolic links
  std::string file_system;  // "btrfs", "xfs", ...
  // Where the set lies in a btrfs subvolume that this process may snapshot: its root, and the way
  // from there to the set ("" where the set is the subvolume).
  os::Fd subvolume;
  std::string inside_subvolume;
};

// Errors: set-missing, permission, not-supported (no directory), nested-mount.
Result<PinPlace> look_at_place(os::Disk& disk, const component::DataSet& set,
                               const Exclude& exclude);

// That the directory that was looked at is still the one at its place, and not moved away since, or
// removed. Error: set-missing.
Result<void> still_in_place(os::Disk& disk, const PinPlace& place);

// Whether btrfs itself knows of no subvolume inside the set but in what is left out. False also
// where that is not enough to know, or cannot be asked: then a walk has to look.
bool known_without_subvolumes(os::Disk& disk, const PinPlace& place, const Exclude& exclude);

// The mount point of one line of /proc/self/mountinfo, its escapes undone; empty: not understood.
std::string mount_point_of(const std::string& line);

}  // namespace lockstep::files
