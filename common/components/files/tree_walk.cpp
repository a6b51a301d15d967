#include "common/components/files/tree_walk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>

#include <cerrno>
#include <utility>

#include "common/components/files/directories.hpp"

namespace lockstep::files {

namespace {
constexpr std::size_t kOpenFrames = 32;
constexpr std::size_t kLongestPath = 4095;
// What stands in a btrfs snapshot where a subvolume was nested (BTRFS_EMPTY_SUBVOL_DIR_OBJECTID).
constexpr ino_t kEmptySubvolume = 2;
}  // namespace

TreeWalk::TreeWalk(os::Disk& disk, int root, std::string where, std::string scratch,
                   TreeWalkOptions options)
    : disk_(disk),
      root_(root),
      where_(std::move(where)),
      scratch_(std::move(scratch)),
      options_(std::move(options)) {}

Error TreeWalk::error(os::Errno number, std::string_view act, std::string_view path) const {
  return failed(options_.side, number, act, full_path(where_, path));
}

Result<void> TreeWalk::check_inside(const struct ::stat& info, const std::string& path) const {
  const bool snapshot_of_nested = btrfs_ && info.st_ino == kEmptySubvolume;
  if (info.st_dev == device_ && !snapshot_of_nested) return {};
  return make_error(ErrorCode::nested_mount, "another mount or subvolume lies inside the data set",
                    full_path(where_, path));
}

Result<std::optional<Visit>> TreeWalk::next() {
  if (!begun_) {
    begun_ = true;
    return begin();
  }
  while (!frames_.empty()) {
    Frame& top = frames_.back();
    LOCKSTEP_TRY(std::optional<Name> name, top.names->next());
    if (!name) return leave();
    std::string path = top.path;
    if (!path.empty()) path += '/';
    path += name->text;
    if (path.size() > kLongestPath) {
      return make_error(ErrorCode::source_special, "the path is longer than 4,095 bytes",
                        full_path(where_, path));
    }
    LOCKSTEP_TRY(const std::optional<int> parent, descriptor(top));
    if (!parent) return leave();
    bool directory = name->type == DT_DIR;
    std::optional<struct ::stat> info;
    if (name->type == DT_UNKNOWN || (!directory && options_.stat_files)) {
      auto seen = disk_.stat_at(*parent, name->text);
      if (!seen && gone(seen.error())) continue;
      if (!seen) return error(seen.error(), "look at", path);
      directory = S_ISDIR(seen->st_mode);
      info = *seen;
    }
    if (options_.skip && options_.skip(path, directory)) continue;
    if (directory) {
      LOCKSTEP_TRY(std::optional<Visit> visit, enter(*parent, name->text, std::move(path)));
      if (!visit) continue;
      return visit;
    }
    Visit visit;
    visit.path = std::move(path);
    visit.name = std::move(name->text);
    visit.parent = *parent;
    if (info) visit.info = *info;
    return std::optional<Visit>(std::move(visit));
  }
  return std::optional<Visit>{};
}

Result<std::optional<Visit>> TreeWalk::begin() {
  auto info = disk_.stat(root_);
  if (!info) return error(info.error(), "look at", "");
  device_ = info->st_dev;
  auto kind = disk_.file_system(root_);
  if (!kind) return error(kind.error(), "look at the file system of", "");
  btrfs_ = kind->magic == BTRFS_SUPER_MAGIC;
  if (options_.start.empty()) {
    LOCKSTEP_TRY(std::optional<Visit> visit, enter(root_, ".", ""));
    if (!visit) return visit;
    visit->name.clear();
    visit->parent = -1;
    return visit;
  }
  auto parent = open_directory_beneath(disk_, root_, directory_of(options_.start));
  if (!parent) return error(parent.error(), "open the directory of", options_.start);
  start_parent_ = std::move(*parent);
  Visit visit;
  visit.path = options_.start;
  visit.name = std::string(last_name(options_.start));
  visit.parent = start_parent_.get();
  auto seen = disk_.stat_at(visit.parent, visit.name);
  if (!seen) return error(seen.error(), "look at", options_.start);
  if (S_ISDIR(seen->st_mode)) {
    return enter(visit.parent, visit.name, options_.start);
  }
  visit.info = *seen;
  return std::optional<Visit>(std::move(visit));
}

bool TreeWalk::gone(os::Errno number) const {
  return options_.live && (number.number == ENOENT || number.number == ENOTDIR ||
                           number.number == ELOOP || number.number == ESTALE);
}

Result<std::optional<Visit>> TreeWalk::enter(int parent, const std::string& name,
                                             std::string path) {
  auto opened = disk_.open(parent, name, O_RDONLY | O_DIRECTORY);
  if (!opened && gone(opened.error())) return std::optional<Visit>{};
  if (!opened) return error(opened.error(), "open the directory", path);
  auto info = disk_.stat(opened->get());
  if (!info) return error(info.error(), "look at", path);
  LOCKSTEP_CHECK(check_inside(*info, path));
  if (options_.alone) {
    Visit only;
    only.path = std::move(path);
    only.name = name;
    only.parent = parent;
    only.directory = true;
    only.info = *info;
    only.self = opened->get();
    left_ = std::move(*opened);
    return std::optional<Visit>(std::move(only));
  }
  LOCKSTEP_TRY(SortedNames names, SortedNames::read(disk_, opened->get(), scratch_, budget_,
                                                    options_.side, full_path(where_, path)));
  Visit visit;
  visit.path = path;
  visit.name = name;
  visit.parent = parent;
  visit.self = opened->get();
  visit.directory = true;
  visit.info = *info;
  Frame frame;
  frame.path = std::move(path);
  frame.fd = std::move(*opened);
  frame.info = *info;
  frame.names = std::make_unique<SortedNames>(std::move(names));
  frames_.push_back(std::move(frame));
  // Not the one that this visit names as its parent: that is the frame before the new one.
  if (frames_.size() > kOpenFrames) frames_[frames_.size() - 1 - kOpenFrames].fd.reset();
  return std::optional<Visit>(std::move(visit));
}

Result<std::optional<Visit>> TreeWalk::leave() {
  LOCKSTEP_TRY(const std::optional<int> self, descriptor(frames_.back()));
  Visit visit;
  visit.what = Visit::What::leave;
  visit.directory = true;
  visit.self = self.value_or(-1);
  visit.path = frames_.back().path;
  visit.name = std::string(last_name(visit.path));
  visit.info = frames_.back().info;
  left_ = std::move(frames_.back().fd);
  frames_.pop_back();
  return std::optional<Visit>(std::move(visit));
}

Result<std::optional<int>> TreeWalk::descriptor(Frame& frame) {
  if (frame.fd) return std::optional<int>(frame.fd.get());
  auto opened = open_directory_beneath(disk_, root_, frame.path);
  if (!opened && gone(opened.error())) return std::optional<int>{};
  if (!opened) return error(opened.error(), "open the directory", frame.path);
  auto info = disk_.stat(opened->get());
  if (!info) return error(info.error(), "look at", frame.path);
  if (info->st_ino != frame.info.st_ino || info->st_dev != frame.info.st_dev) {
    // Another directory stands there now: its names are not the ones that were read.
    if (options_.live) return std::optional<int>{};
    return error({ESTALE}, "come back to the directory", frame.path);
  }
  frame.fd = std::move(*opened);
  return std::optional<int>(frame.fd.get());
}

}  // namespace lockstep::files
