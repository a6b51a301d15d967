// Fifo: lines from one process to another, of which each notices the other's death.
//
// The reader makes the fifo, the writer opens it by its path; both then may go on without the path.
// When the writer dies, however it dies, the reader sees the end after the last line that was sent.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/clock/moment.hpp"
#include "common/os/disk.hpp"
#include "common/os/fd.hpp"

namespace lockstep::os {

// Thread rule: one thread at a time.
class FifoReader {
 public:
  // Makes the fifo at `path` (mode 0600) and opens it.
  static Sys<FifoReader> make(Disk& disk, const std::string& path);

  enum class Got { line, nothing, end };
  // The next line, without its end, in `line`. `nothing` after `timeout`; `end` when every writer
  // is gone and all lines have been read. Before the first writer has come it waits.
  Sys<Got> next(Nanos timeout, std::string& line);

 private:
  explicit FifoReader(Fd fd) : fd_(std::move(fd)) {}
  bool take(std::string& line);

  Fd fd_;
  std::string buffer_;
};

// Thread rule: one thread at a time.
class FifoWriter {
 public:
  // Opens the fifo, waiting up to `timeout` for the reader to have made and opened it.
  // Errors: ENXIO, ENOENT (nobody reads it).
  static Sys<FifoWriter> open(Disk& disk, const std::string& path, Nanos timeout);

  // Sends one line (without line ends inside; at most 64 KiB). When it returns, the reader will get
  // it even if this process dies at once. Errors: EPIPE (the reader is gone), EMSGSIZE. No signal
  // is raised.
  Sys<void> send(std::string_view line);

 private:
  explicit FifoWriter(Fd fd) : fd_(std::move(fd)) {}

  Fd fd_;
};

// Waits until the kernel reports that a file of kernfs (cgroup.events) has changed since this
// descriptor last read it; false after `timeout`. 0 only looks.
Sys<bool> wait_changed(int fd, Nanos timeout);

// Keeps all memory of this process from being paged out (mlockall(2), now and in future). Without
// the right or room for it: EPERM, ENOMEM.
Sys<void> lock_memory();

}  // namespace lockstep::os
