#include "common/components/files/directories.hpp"

#include <fcntl.h>

#include <cerrno>

#include "common/component/entry.hpp"

namespace lockstep::files {

namespace {
constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY;
}

os::Sys<os::Fd> open_directory_beneath(os::Disk& disk, int root, std::string_view path) {
  if (path.empty()) return disk.open(root, ".", kOpenDirectory);
  auto opened = disk.open_beneath(root, std::string(path), kOpenDirectory);
  if (opened || (opened.error().number != ENOSYS && opened.error().number != ENAMETOOLONG)) {
    return opened;
  }
  if (!component::path_is_clean(path) && path.size() <= 4096) return os::Errno{EXDEV};
  os::Fd here;
  for (std::size_t start = 0; start < path.size();) {
    std::size_t end = path.find('/', start);
    if (end == std::string_view::npos) end = path.size();
    auto next = disk.open(here ? here.get() : root, std::string(path.substr(start, end - start)),
                          kOpenDirectory);
    if (!next) return next.error();
    here = std::move(*next);
    start = end + 1;
  }
  return here;
}

std::string_view directory_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view last_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

Directories::Directories(os::Disk& disk, int root, std::size_t limit)
    : disk_(disk), root_(root), limit_(limit) {}

os::Sys<std::shared_ptr<Directory>> Directories::get(std::string_view path) {
  {
    const std::lock_guard lock(mutex_);
    if (!newest_first_.empty() && newest_first_.front().first == path) {
      return newest_first_.front().second;
    }
    if (const auto found = by_path_.find(path); found != by_path_.end()) {
      newest_first_.splice(newest_first_.begin(), newest_first_, found->second);
      return found->second->second;
    }
  }
  auto opened = open_directory_beneath(disk_, root_, path);
  if (!opened) return opened.error();
  auto made = std::make_shared<Directory>();
  made->fd = std::move(*opened);
  const std::lock_guard lock(mutex_);
  if (const auto found = by_path_.find(path); found != by_path_.end()) {
    return found->second->second;  // another thread was quicker
  }
  newest_first_.emplace_front(std::string(path), made);
  by_path_.emplace(newest_first_.front().first, newest_first_.begin());
  if (newest_first_.size() > limit_) {
    by_path_.erase(newest_first_.back().first);
    newest_first_.pop_back();
  }
  return made;
}

void Directories::forget(std::string_view path) {
  const std::lock_guard lock(mutex_);
  for (auto entry = newest_first_.begin(); entry != newest_first_.end();) {
    if (entry->first == path || component::path_inside(entry->first, path)) {
      by_path_.erase(entry->first);
      entry = newest_first_.erase(entry);
    } else {
      ++entry;
    }
  }
}

}  // namespace lockstep::files
