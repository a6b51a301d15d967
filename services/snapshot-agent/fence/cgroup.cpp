#include "services/snapshot-agent/fence/cgroup.hpp"

#include <fcntl.h>

#include <cerrno>
#include <span>
#include <sstream>

#include "common/os/fifo.hpp"
#include "common/os/whole_file.hpp"

namespace lockstep::snapshot {

namespace {

os::Sys<void> write_small(os::Disk& disk, const std::string& path, std::string_view text) {
  auto file = disk.open(os::kCwd, path, O_WRONLY);
  if (!file) return file.error();
  return disk.write_at(file->get(), 0, std::as_bytes(std::span(text)));
}

}  // namespace

Result<std::string> cgroup_mount(os::Disk& disk) {
  LOCKSTEP_TRY(const std::string table,
               os::read_whole(disk, "/proc/self/mounts", ErrorCode::fence_failed));
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string device, point, type;
    words >> device >> point >> type;
    if (type == "cgroup2") return point;
  }
  return make_error(ErrorCode::fence_failed, "no cgroup v2 tree is mounted", "/proc/self/mounts",
                    "mount one (mount -t cgroup2 none DIR), or fence with a hook");
}

Result<std::string> cgroup_directory(os::Disk& disk, const std::string& path) {
  LOCKSTEP_TRY(const std::string mount, cgroup_mount(disk));
  std::istringstream words(path);
  for (std::string word; std::getline(words, word, '/');) {
    if (word == "..") {
      return make_error(ErrorCode::fence_failed, "the cgroup's path leads out of its mount", path);
    }
  }
  const std::string directory = mount + (path.starts_with('/') ? "" : "/") + path;
  auto file = disk.open(os::kCwd, directory + "/cgroup.freeze", O_WRONLY);
  if (file) return directory;
  if (file.error().number == ENOENT) {
    return make_error(ErrorCode::fence_failed, "there is no such cgroup, or it cannot be frozen",
                      directory, "name a cgroup below the root of the v2 tree");
  }
  Error error =
      from_errno(ErrorCode::fence_failed, file.error().number, "open cgroup.freeze of", directory);
  error.hint = "delegate the cgroup to the agent's user, or run the agent as root";
  return error;
}

Result<bool> lives_in(os::Disk& disk, pid_t process, const std::string& directory) {
  LOCKSTEP_TRY(const std::string mount, cgroup_mount(disk));
  LOCKSTEP_TRY(const std::string table,
               os::read_whole(disk, "/proc/" + std::to_string(process) + "/cgroup",
                              ErrorCode::fence_failed));
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("0::")) continue;  // the v2 hierarchy
    const std::string own = mount + line.substr(3);
    return own == directory || own.starts_with(directory + "/");
  }
  return false;
}

Result<void> move_to_root(os::Disk& disk) {
  LOCKSTEP_TRY(const std::string mount, cgroup_mount(disk));
  const std::string path = mount + "/cgroup.procs";
  if (auto moved = write_small(disk, path, "0"); !moved) {  // 0: the process that writes
    return from_errno(ErrorCode::fence_failed, moved.error().number, "write to", path);
  }
  return {};
}

Freeze::Freeze(os::Disk& disk, const Clock& clock, std::string directory)
    : disk_(disk), clock_(clock), directory_(std::move(directory)) {}

Result<bool> Freeze::frozen() {
  std::string text(4096, '\0');
  auto count = disk_.read_at(events_.get(), 0, std::as_writable_bytes(std::span(text)));
  if (!count) {
    return from_errno(ErrorCode::fence_failed, count.error().number, "read cgroup.events of",
                      directory_);
  }
  text.resize(*count);
  return text.find("frozen 1") != std::string::npos;
}

Result<void> Freeze::freeze(Nanos timeout, std::stop_token stop) {
  auto events = disk_.open(os::kCwd, directory_ + "/cgroup.events", O_RDONLY);
  if (!events) {
    return from_errno(ErrorCode::fence_failed, events.error().number, "open cgroup.events of",
                      directory_);
  }
  events_ = std::move(*events);
  const MonoNanos begun = clock_.mono();
  if (auto written = write_small(disk_, directory_ + "/cgroup.freeze", "1"); !written) {
    return from_errno(ErrorCode::fence_failed, written.error().number, "freeze", directory_);
  }
  while (true) {
    auto now = frozen();
    if (!now) {
      (void)thaw(disk_, directory_);
      return std::move(now).error();
    }
    if (*now && settled()) return {};
    const Nanos left = timeout - (clock_.mono() - begun);
    if (left.count <= 0 || stop.stop_requested()) {
      (void)thaw(disk_, directory_);
      return make_error(ErrorCode::fence_failed,
                        "the cgroup's processes were not all frozen within " + to_duration(timeout),
                        directory_, "a process in it waits uninterruptibly; see its stack");
    }
    (void)os::wait_changed(events_.get(), std::min(left, milliseconds(50)));
  }
}

// The kernel tells of changes to cgroup.events at most once in 10 ms and makes up for the rest a
// little later (CGROUP_FILE_NOTIFY_MIN_INTV, kernel/cgroup/cgroup.c): the notice of this very
// freeze may still be on its way when `frozen 1` can be read. Left unread, held() would take it for
// a thaw.
bool Freeze::settled() {
  constexpr Nanos kLatestNotice = milliseconds(20);
  while (true) {
    auto changed = os::wait_changed(events_.get(), kLatestNotice);
    if (!changed) return false;
    if (!*changed) return true;
    auto now = frozen();  // reading takes the notice
    if (!now || !*now) return false;
  }
}

bool Freeze::held() {
  auto changed = os::wait_changed(events_.get(), Nanos{0});
  if (!changed || *changed) return false;
  auto now = frozen();
  return now && *now;
}

Result<void> thaw(os::Disk& disk, const std::string& directory) {
  auto written = write_small(disk, directory + "/cgroup.freeze", "0");
  if (written || written.error().number == ENOENT || written.error().number == ENODEV) return {};
  return from_errno(ErrorCode::fence_failed, written.error().number, "thaw", directory);
}

}  // namespace lockstep::snapshot
