#include "common/components/files/target.hpp"

#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "common/components/files/restore.hpp"
#include "common/components/files/side.hpp"
#include "common/components/files/source.hpp"
#include "common/components/files/staging.hpp"
#include "common/components/files/store.hpp"
#include "common/os/durable.hpp"
#include "common/os/remove_tree.hpp"

namespace lockstep::files {

using component::Context;
using component::DataSet;
using component::Version;

namespace {

// What a tree with all its metadata needs and some file systems (vfat, exfat, many network ones)
// lack is found out by doing it.
Result<void> try_store(os::Disk& disk, const std::string& store) {
  const std::string probe = store + "/.probe-target";
  const auto lacks = [&](os::Errno number, const char* what) {
    if (number.number == ENOSPC || number.number == EDQUOT || number.number == EROFS ||
        number.number == EACCES) {
      return failed(Side::target, number, what, store);
    }
    return from_errno(ErrorCode::wrong_filesystem, number.number, what, store);
  };
  LOCKSTEP_CHECK(os::remove_tree(disk, os::kCwd, probe));
  LOCKSTEP_CHECK(os::make_directories(disk, probe));
  const auto attempt = [&]() -> Result<void> {
    if (auto made = disk.symlink("x", os::kCwd, probe + "/symlink"); !made) {
      return lacks(made.error(), "make a symbolic link");
    }
    auto file = disk.open(os::kCwd, probe + "/file", O_RDWR | O_CREAT | O_EXCL, 0600);
    if (!file) return lacks(file.error(), "make a file");
    if (auto linked = disk.link(os::kCwd, probe + "/file", os::kCwd, probe + "/link"); !linked) {
      return lacks(linked.error(), "make a hard link");
    }
    if (auto set = disk.change_mode(file->get(), 0640); !set) {
      return lacks(set.error(), "set modes");
    }
    auto info = disk.stat(file->get());
    if (!info || (info->st_mode & 07777) != 0640) {
      return make_error(ErrorCode::wrong_filesystem, "the file system does not keep modes", store);
    }
    return {};
  };
  auto outcome = attempt();
  LOCKSTEP_CHECK(os::remove_tree(disk, os::kCwd, probe));
  return outcome;
}

}  // namespace

FileTarget::FileTarget(const component::Surroundings& surroundings)
    : disk_(surroundings.disk), scratch_(surroundings.state_directory) {}

std::shared_ptr<std::mutex> FileTarget::guard(const Kept& kept) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<std::mutex>& found = guards_[kept.versions()];
  if (found == nullptr) found = std::make_shared<std::mutex>();
  return found;
}

Result<Kept> FileTarget::open_kept(const DataSet& target) {
  if (lies_in_store(target.place.location)) {
    return make_error(ErrorCode::target_overlaps, "the place lies in a store of Lockstep's own",
                      target.place.location);
  }
  LOCKSTEP_TRY(std::string store, open_store(disk_, target.place.location));
  return Kept(disk_, std::move(store), target.id);
}

Result<void> FileTarget::check(const DataSet& target, std::uint64_t bytes_expected) {
  const std::string& location = target.place.location;
  auto present = disk_.stat_at(os::kCwd, location);
  if (present && !S_ISDIR(present->st_mode)) {
    return make_error(ErrorCode::not_supported, "what stands at the place is no directory",
                      location);
  }
  LOCKSTEP_TRY(Kept kept, open_kept(target));
  LOCKSTEP_CHECK(kept.make());
  const std::string& where = kept.versions();
  auto opened = disk_.open(os::kCwd, where, O_RDONLY | O_DIRECTORY);
  if (!opened) return failed(Side::target, opened.error(), "open", where);
  auto kind = disk_.file_system(opened->get());
  if (!kind) return failed(Side::target, kind.error(), "look at the file system of", where);
  if (kind->read_only) {
    return make_error(ErrorCode::permission, "the file system is mounted read-only", where);
  }
  LOCKSTEP_CHECK(try_store(disk_, where));
  auto space = disk_.space(opened->get());
  if (!space) return failed(Side::target, space.error(), "look at the free space of", where);
  const bool no_inode = space->total_inodes != 0 && space->free_inodes == 0;
  if (no_inode || space->free_bytes < bytes_expected) {
    return make_error(ErrorCode::no_space,
                      no_inode ? "the file system has no free inode"
                               : "the file system has " + std::to_string(space->free_bytes) +
                                     " bytes free and " + std::to_string(bytes_expected) +
                                     " are expected",
                      where);
  }
  return {};
}

Result<std::unique_ptr<component::Staging>> FileTarget::stage(
    const Context& context, const component::StageRequest& request) {
  LOCKSTEP_TRY(Kept kept, open_kept(request.target));
  LOCKSTEP_CHECK(kept.make());
  const auto lock_of_set = guard(kept);
  const std::string path = kept.staging(context.run, context.attempt);
  if (request.resume) {
    if (!disk_.stat_at(os::kCwd, path)) {
      LOCKSTEP_TRY(const std::optional<Version> sealed, kept.find(context.run));
      if (!sealed) {
        return make_error(ErrorCode::resume_refused, "there is no staging of this attempt", path);
      }
    }
  } else {
    const std::lock_guard lock(*lock_of_set);
    LOCKSTEP_TRY(const std::vector<std::string> names, kept.names_in(kept.stagings()));
    for (const std::string& name : names) {
      if (Kept::run_of_staging(name) != context.run) continue;
      LOCKSTEP_CHECK(os::remove_tree(disk_, os::kCwd, kept.stagings() + "/" + name));
    }
    LOCKSTEP_CHECK(kept.collect());
  }
  LOCKSTEP_CHECK(os::make_directories(disk_, path));
  FileStaging::Setup setup{std::move(kept), context, path, scratch_, nullptr, lock_of_set};
  if (request.base) {
    LOCKSTEP_TRY(setup.base, FileSource::open(disk_, scratch_, *request.base));
  }
  LOCKSTEP_TRY(auto staging, FileStaging::open(disk_, std::move(setup)));
  return std::unique_ptr<component::Staging>(std::move(staging));
}

Result<std::optional<Version>> FileTarget::find(const Context& context, const DataSet& target) {
  for (const std::string& store : existing_stores(disk_, target.place.location)) {
    LOCKSTEP_TRY(std::optional<Version> found, Kept(disk_, store, target.id).find(context.run));
    if (found) return found;
  }
  return std::optional<Version>{};
}

Result<std::vector<Version>> FileTarget::list(const DataSet& target) {
  std::vector<Version> all;
  for (const std::string& store : existing_stores(disk_, target.place.location)) {
    LOCKSTEP_TRY(std::vector<Version> some, Kept(disk_, store, target.id).list());
    std::move(some.begin(), some.end(), std::back_inserter(all));
  }
  return all;
}

bool FileTarget::is_within_reach(const DataSet& target, const Version& version) const {
  const auto native = native_from_text(version.native);
  return native && may_link(disk_, native->hold, target.place.location);
}

std::string FileTarget::path_of(const Version& version) const {
  const auto native = native_from_text(version.native);
  return native ? native->tree : std::string();
}

Result<void> FileTarget::check_version(const Version& version) {
  LOCKSTEP_TRY(const auto tree, open_tree(disk_, version));
  if (tree->native.form != kSubvolume) return {};
  auto info = disk_.subvolume_info(tree->root.get());
  if (!info) {
    return failed(Side::source, info.error(), "look at the subvolume", tree->native.tree);
  }
  if (info->read_only) return {};
  return make_error(ErrorCode::point_damaged, "the version's subvolume has been made writable",
                    tree->native.tree);
}

Result<component::Target::RestoreResult> FileTarget::restore(const Context& context,
                                                             const Version& version,
                                                             const component::Place& place,
                                                             const std::string& path,
                                                             bool replace) {
  LOCKSTEP_TRY(const auto source, FileSource::open(disk_, scratch_, version));
  return restore_tree(disk_, *source, context, {place.location, path, replace});
}

Result<bool> FileTarget::give_at_once(const Context& context, const Version& version,
                                      const component::Place& place) {
  LOCKSTEP_TRY(const auto source, FileSource::open(disk_, scratch_, version));
  return snapshot_tree(disk_, *source, context, place.location);
}

Result<void> FileTarget::drop(const Context&, const Version& version) {
  LOCKSTEP_TRY(const Native native, native_from_text(version.native));
  // <store>/<area>/<service>/<set>/<name>
  const std::string directory = os::directory_of(native.hold);
  const std::string store = os::directory_of(os::directory_of(os::directory_of(directory)));
  Kept kept(disk_, store, version.id);
  if (directory != kept.versions() && directory != kept.stagings()) {
    return make_error(ErrorCode::version_missing, "the version does not lie in its set's store",
                      native.hold);
  }
  const auto lock_of_set = guard(kept);
  const std::lock_guard lock(*lock_of_set);
  if (directory == kept.versions()) return kept.forget(name_of(native.hold));
  LOCKSTEP_CHECK(os::remove_tree(disk_, os::kCwd, native.hold));
  return kept.collect();
}

}  // namespace lockstep::files
