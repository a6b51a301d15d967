// The pid file of `lockstep up`: "<pid> <start time>", so that a number that the kernel gave to
// another process meanwhile is not taken for ours (proc(5), stat, field 22).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::cli {

// Nothing where the process does not exist.
std::optional<std::string> start_time_of(os::Disk& disk, pid_t pid);

// The supervisor that runs, if one does.
std::optional<pid_t> running_supervisor(os::Disk& disk, const std::string& path);

// Held by the supervisor while it runs. Error: run-busy, when another one does.
class PidFile {
 public:
  static Result<PidFile> take(os::Disk& disk, const std::string& path);
  PidFile(PidFile&& other) noexcept;
  PidFile& operator=(PidFile&&) = delete;
  ~PidFile();

 private:
  PidFile(os::Disk& disk, std::string path) : disk_(&disk), path_(std::move(path)) {}
  os::Disk* disk_;
  std::string path_;
};

}  // namespace lockstep::cli
