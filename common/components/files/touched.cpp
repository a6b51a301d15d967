#include "common/components/files/touched.hpp"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "common/component/entry.hpp"
#include "common/components/files/directories.hpp"
#include "common/components/files/tree_walk.hpp"
#include "common/os/btrfs_names.hpp"
#include "common/os/btrfs_tree.hpp"

namespace lockstep::files {

namespace {

// Beyond so many a walk costs no more.
constexpr std::uint64_t kMostPaths = 500'000;
// Inodes whose names were listed lately are not asked for again: a file with thousands of names
// would cost their square.
constexpr std::size_t kRememberedInodes = 100'000;

// The order of manifests is that of paths with NUL for '/': no name has one. The two NUL at the end
// sort before all that lies inside; then what has `below` sorts before what has not.
std::string encode(const Touched& touched) {
  std::string out = touched.path;
  std::replace(out.begin(), out.end(), '/', '\0');
  out.append(2, '\0');
  out += touched.below ? '\1' : '\2';
  return out;
}

Touched decode(std::string encoded) {
  Touched touched;
  touched.below = encoded.back() == '\1';
  encoded.resize(encoded.size() - 3);
  std::replace(encoded.begin(), encoded.end(), '\0', '/');
  touched.path = std::move(encoded);
  return touched;
}

// A path of the subvolume as one of the set at `inside`; nothing where it lies elsewhere.
std::optional<std::string> in_set(const std::string& path, const std::string& inside) {
  if (inside.empty()) return path;
  if (path == inside) return std::string();
  if (!component::path_inside(path, inside)) return std::nullopt;
  return path.substr(inside.size() + 1);
}

// True where the set, or a directory above `path`, is left out.
bool left_out(const TouchedRequest& request, const std::string& path, bool directory) {
  for (std::size_t end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1)) {
    if (request.left_out(path.substr(0, end), true)) return true;
  }
  return !path.empty() && request.left_out(path, directory);
}

// Which paths of the subvolume are touched, written into `list`.
class Reading {
 public:
  Reading(const TouchedRequest& request, TouchedPaths& list) : request_(request), list_(list) {}

  // False where btrfs does not tell, or too much.
  Result<bool> all() {
    os::ChangedInodes changed(request_.subvolume, request_.base_made);
    while (true) {
      auto inode = changed.next();
      if (!inode) return false;
      if (!*inode) return true;
      if ((*inode)->links == 0) continue;
      LOCKSTEP_TRY(const bool told, (*inode)->directory ? directory(**inode) : names(**inode));
      if (!told) return false;
    }
  }

 private:
  Result<bool> add(Touched touched) {
    if (++count_ > kMostPaths) return false;
    LOCKSTEP_CHECK(list_.add(touched));
    return true;
  }

  Result<bool> names(const os::TreeInode& inode) {
    auto paths = os::inode_paths(request_.subvolume, inode.number);
    if (!paths || !paths->has_value()) return false;
    for (std::string& path : **paths) {
      LOCKSTEP_TRY(const bool few, add({std::move(path), false}));
      if (!few) return false;
    }
    return true;
  }

  Result<bool> directory(const os::TreeInode& inode) {
    auto path = os::directory_path(request_.subvolume, inode.number);
    if (!path) return false;
    LOCKSTEP_TRY(const bool few, add({*path, false}));
    // Of one that was made since, the directory it is in tells, with `below`.
    if (!few || inode.made > request_.base_made) return few;
    return compare(*path, inode.number);
  }

  // A name that is in one of the two alone, or stands for another inode, has another index.
  Result<bool> compare(const std::string& path, std::uint64_t inode) {
    os::DirectoryNames old_names(request_.subvolume, request_.base_tree, inode);
    os::DirectoryNames new_names(request_.subvolume, 0, inode);
    auto before = old_names.next();
    auto now = new_names.next();
    while (true) {
      if (!before || !now) return false;
      if (!*before && !*now) return true;
      const bool gone = *before && (!*now || (*before)->index < (*now)->index);
      const bool made = *now && (!*before || (*now)->index < (*before)->index);
      if (!made && !gone && **before == **now) {
        before = old_names.next();
        now = new_names.next();
        continue;
      }
      auto& names = made ? new_names : old_names;
      auto& at = made ? now : before;
      const std::string name = path.empty() ? (*at)->name : path + '/' + (*at)->name;
      LOCKSTEP_TRY(const bool few, add({name, (*at)->directory}));
      if (!few) return false;
      at = names.next();
    }
  }

  const TouchedRequest& request_;
  TouchedPaths& list_;
  std::uint64_t count_ = 0;
};

// Adds the names in the set of inodes that have several, of what lies inside a directory that has
// come to its place: which of them is the first in the set may be another now.
class OtherNames {
 public:
  OtherNames(os::Disk& disk, const TouchedRequest& request, TouchedPaths& list)
      : disk_(disk), request_(request), list_(list), directories_(disk, request.subvolume) {}

  // A path of the subvolume. False where btrfs does not tell them all.
  Result<bool> inside(const std::string& path) {
    auto parent = directories_.get(directory_of(path));
    if (!parent) return true;  // not there any more
    const std::string name(path.empty() ? "." : last_name(path));
    auto info = disk_.stat_at((*parent)->fd.get(), name);
    if (!info || !S_ISDIR(info->st_mode)) return true;
    TreeWalkOptions options;
    options.start = path;
    TreeWalk walk(disk_, request_.subvolume, request_.where, request_.scratch, std::move(options));
    while (true) {
      auto visit = walk.next();
      // Outside the set other subvolumes may lie there; inside, a walk of all will name it.
      if (!visit && visit.error().code == ErrorCode::nested_mount) return false;
      if (!visit) return std::move(visit).error();
      if (!*visit) return true;
      if ((*visit)->directory) continue;
      LOCKSTEP_TRY(const bool told, of_inode((*visit)->info));
      if (!told) return false;
    }
  }

 private:
  Result<bool> of_inode(const struct ::stat& info) {
    if (!S_ISREG(info.st_mode) || info.st_nlink < 2) return true;
    if (known_.size() >= kRememberedInodes) known_.clear();
    if (!known_.insert(info.st_ino).second) return true;
    auto paths = os::inode_paths(request_.subvolume, info.st_ino);
    if (!paths || !paths->has_value()) return false;
    for (const std::string& path : **paths) {
      auto own = in_set(path, request_.inside);
      if (own && !left_out(request_, *own, false)) {
        LOCKSTEP_CHECK(list_.add({std::move(*own), false}));
      }
    }
    return true;
  }

  os::Disk& disk_;
  const TouchedRequest& request_;
  TouchedPaths& list_;
  Directories directories_;
  std::unordered_set<std::uint64_t> known_;
};

// What a touched path of the subvolume is to the set: one of its own, nothing, or, where the set
// lies inside a directory that was made or moved, all of it.
std::optional<Touched> as_of_set(const TouchedRequest& request, const Touched& touched) {
  if (auto own = in_set(touched.path, request.inside)) {
    // What is left out as a directory alone is not known here: the look at it will tell.
    if (left_out(request, *own, false)) return std::nullopt;
    return Touched{std::move(*own), touched.below};
  }
  const bool around = touched.path.empty() || component::path_inside(request.inside, touched.path);
  if (around && touched.below) return Touched{"", true};
  return std::nullopt;
}

}  // namespace

TouchedPaths::TouchedPaths(os::Disk& disk, const std::string& scratch, const std::string& where)
    : sorted_(disk, budget_, scratch, where) {}

Result<void> TouchedPaths::add(const Touched& touched) { return sorted_.add(encode(touched)); }

Result<void> TouchedPaths::finish() { return sorted_.finish(); }

Result<std::optional<Touched>> TouchedPaths::next() {
  while (true) {
    LOCKSTEP_TRY(std::optional<std::string> encoded, sorted_.next());
    if (!encoded) return std::optional<Touched>{};
    Touched touched = decode(std::move(*encoded));
    if (any_ && touched.path == before_) continue;
    any_ = true;
    before_ = touched.path;
    return std::optional<Touched>(std::move(touched));
  }
}

Result<std::unique_ptr<TouchedPaths>> touched_paths(os::Disk& disk, const TouchedRequest& request) {
  TouchedPaths told(disk, request.scratch, request.where);
  auto all = std::make_unique<TouchedPaths>(disk, request.scratch, request.where);
  LOCKSTEP_TRY(bool known, Reading(request, told).all());
  if (!known) return std::unique_ptr<TouchedPaths>();
  LOCKSTEP_CHECK(told.finish());
  LOCKSTEP_CHECK(all->add({"", false}));  // the root is looked at whatever is told
  OtherNames others(disk, request, *all);
  while (true) {
    LOCKSTEP_TRY(const std::optional<Touched> touched, told.next());
    if (!touched) break;
    if (const auto own = as_of_set(request, *touched)) LOCKSTEP_CHECK(all->add(*own));
    if (!touched->below) continue;
    LOCKSTEP_TRY(known, others.inside(touched->path));
    if (!known) return std::unique_ptr<TouchedPaths>();
  }
  LOCKSTEP_CHECK(all->finish());
  return all;
}

Result<std::optional<std::string>> first_name_in_set(const TouchedRequest& request,
                                                     std::uint64_t inode) {
  auto paths = os::inode_paths(request.subvolume, inode);
  if (!paths || !paths->has_value()) return std::optional<std::string>{};
  std::optional<std::string> first;
  for (const std::string& path : **paths) {
    auto own = in_set(path, request.inside);
    if (!own || left_out(request, *own, false)) continue;
    if (!first || component::path_less(*own, *first)) first = std::move(own);
  }
  return first;
}

}  // namespace lockstep::files
