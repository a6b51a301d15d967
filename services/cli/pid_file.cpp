#include "services/cli/pid_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <span>
#include <sstream>

#include "services/cli/files.hpp"

namespace lockstep::cli {

std::optional<std::string> start_time_of(os::Disk& disk, pid_t pid) {
  const auto text = read_small_file(disk, fmt::format("/proc/{}/stat", pid));
  if (!text) return std::nullopt;
  // The second field, the name, is in parentheses and may hold anything; the third is the state.
  const auto end = text->rfind(')');
  if (end == std::string::npos) return std::nullopt;
  std::istringstream rest{text->substr(end + 1)};
  std::string word;
  for (int field = 3; rest >> word; ++field) {
    if (field == 3 && word == "Z") return std::nullopt;  // dead, only not collected yet
    if (field == 22) return word;
  }
  return std::nullopt;
}

std::optional<pid_t> running_supervisor(os::Disk& disk, const std::string& path) {
  const auto text = read_small_file(disk, path);
  if (!text) return std::nullopt;
  std::istringstream in{*text};
  pid_t pid = 0;
  std::string started;
  if (!(in >> pid >> started) || pid <= 0 || start_time_of(disk, pid) != started) {
    return std::nullopt;
  }
  return pid;
}

Result<PidFile> PidFile::take(os::Disk& disk, const std::string& path) {
  // A file left by one that was killed is removed; O_EXCL decides between two that start at once.
  for (int attempt = 0; attempt < 3; ++attempt) {
    auto file = disk.open(os::kCwd, path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (file) {
      const std::string text =
          fmt::format("{} {}\n", ::getpid(), start_time_of(disk, ::getpid()).value_or("0"));
      if (auto done = disk.write_at(file->get(), 0, std::as_bytes(std::span{text})); !done) {
        (void)disk.unlink(os::kCwd, path);
        return from_errno(ErrorCode::target_write, done.error().number, "write the pid file", path);
      }
      return PidFile{disk, path};
    }
    if (file.error().number != EEXIST) {
      return from_errno(ErrorCode::target_write, file.error().number, "make the pid file", path);
    }
    if (const auto pid = running_supervisor(disk, path)) {
      return make_error(ErrorCode::run_busy,
                        fmt::format("this host's services are up already (process {})", *pid), path,
                        "`lockstep down` stops them");
    }
    (void)disk.unlink(os::kCwd, path);
  }
  return make_error(ErrorCode::run_busy, "another `lockstep up` is starting", path);
}

PidFile::PidFile(PidFile&& other) noexcept
    : disk_(std::exchange(other.disk_, nullptr)), path_(std::move(other.path_)) {}

PidFile::~PidFile() {
  if (disk_ != nullptr) (void)disk_->unlink(os::kCwd, path_);
}

}  // namespace lockstep::cli
