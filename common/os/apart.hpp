// Work with files that must not touch the process's own record locks.
//
// POSIX record locks (fcntl(2), F_SETLK), which SQLite uses, belong to a table of file descriptors:
// closing any descriptor of a file drops every lock that the same table's owner has on that file.
// So a process that holds such a lock must never open and close the file itself. A thread whose
// table was unshared (close_range(2), CLOSE_RANGE_UNSHARE) is another owner to the kernel: what it
// opens and closes leaves the locks of all other threads alone. No privilege is needed.
#pragma once

#include <cstdint>
#include <functional>

#include "common/os/disk.hpp"

namespace lockstep::os {

// Runs `work` to its end on a thread with a descriptor table of its own, empty but for 0 to 2.
// Requires of `work`: it uses absolute paths and descriptors that it opened itself, calls Disk and
// nothing that may write to a descriptor of the process (a logger: its number may mean another file
// there), and lets no descriptor out. Errors: ENOSYS, EPERM where the kernel or a filter of system
// calls forbids it; `work` has not run then.
Sys<void> run_apart(const std::function<void()>& work);

// Whether some other owner holds a write lock (F_WRLCK) on the byte at `offset`, and is this
// process. From within run_apart: whether the process's other threads do.
Sys<bool> locked_by_this_process(int fd, std::uint64_t offset);

}  // namespace lockstep::os
