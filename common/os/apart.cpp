#include "common/os/apart.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <thread>

namespace lockstep::os {

namespace {

int unshare_descriptors() {
  constexpr unsigned kFirst = 3;  // 0 to 2 stay: a sanitizer's report needs somewhere to go
  if (::syscall(SYS_close_range, kFirst, ~0U, CLOSE_RANGE_UNSHARE) == 0) return 0;
  // Older filters of containers know only the older call. The copies of the process's descriptors
  // are closed when the thread ends, as another owner: no lock of the process goes with them.
  if (::unshare(CLONE_FILES) == 0) return 0;
  return errno;
}

}  // namespace

Sys<void> run_apart(const std::function<void()>& work) {
  int failed = 0;
  try {
    std::thread apart([&] {
      failed = unshare_descriptors();
      if (failed == 0) work();
    });
    apart.join();
  } catch (const std::system_error&) {
    return Errno{EAGAIN};  // no thread to be had
  }
  if (failed != 0) return Errno{failed};
  return {};
}

Sys<bool> locked_by_this_process(int fd, std::uint64_t offset) {
  struct ::flock wanted {};
  wanted.l_type = F_WRLCK;
  wanted.l_whence = SEEK_SET;
  wanted.l_start = static_cast<off_t>(offset);
  wanted.l_len = 1;
  if (::fcntl(fd, F_GETLK, &wanted) != 0) return Errno{errno};
  return wanted.l_type == F_WRLCK && wanted.l_pid == ::getpid();
}

}  // namespace lockstep::os
