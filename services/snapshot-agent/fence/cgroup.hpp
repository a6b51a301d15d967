// Freezing the writers' cgroup (cgroup v2, cgroup.freeze). The v2 tree may be mounted anywhere; the
// mount is looked up.
#pragma once

#include <sys/types.h>

#include <stop_token>
#include <string>

#include "common/clock/clock.hpp"
#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::snapshot {

// Where the v2 tree is mounted. Error: fence-failed (nowhere).
Result<std::string> cgroup_mount(os::Disk& disk);

// The directory of the cgroup `path` (below the mount, as the policy has it). Errors: fence-failed
// (no such cgroup; it cannot be frozen: the root, or not delegated to this user).
Result<std::string> cgroup_directory(os::Disk& disk, const std::string& path);

// Whether the process is in the cgroup of that directory, or below. Freezing would stop it.
Result<bool> lives_in(os::Disk& disk, pid_t process, const std::string& directory);

// Moves this process into the root cgroup of the v2 tree, where nobody freezes it.
Result<void> move_to_root(os::Disk& disk);

// One freeze. Thread rule: one thread at a time.
class Freeze {
 public:
  Freeze(os::Disk& disk, const Clock& clock, std::string directory);

  // Freezes and waits until the kernel says that every process is frozen. Errors: fence-failed,
  // also after `timeout` (then it is thawed again).
  Result<void> freeze(Nanos timeout, std::stop_token stop);

  // Whether it has been frozen without a break since freeze(): nothing about the cgroup changed.
  bool held();

 private:
  Result<bool> frozen();
  // Waits for the last notice of the freeze; false: it did not stay frozen.
  bool settled();

  os::Disk& disk_;
  const Clock& clock_;
  std::string directory_;
  os::Fd events_;
};

// Error: fence-failed. Of a cgroup that is gone: success.
Result<void> thaw(os::Disk& disk, const std::string& directory);

}  // namespace lockstep::snapshot
