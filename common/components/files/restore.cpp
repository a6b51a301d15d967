#include "common/components/files/restore.hpp"

#include <fcntl.h>

#include <cerrno>
#include <functional>
#include <utility>
#include <vector>

#include "common/components/files/copy_tree.hpp"
#include "common/components/files/kept.hpp"
#include "common/components/files/metadata.hpp"
#include "common/components/files/set_metadata.hpp"
#include "common/components/files/store.hpp"
#include "common/components/files/tree_writer.hpp"
#include "common/os/durable.hpp"
#include "common/os/remove_tree.hpp"

namespace lockstep::files {

using component::Context;
using component::Entry;

namespace {

constexpr mode_t kNewParent = 0755;
constexpr const char* kBuilt = "it";  // the entry's name while it is built

// A directory above what is given back, that had to be made.
struct MadeDirectory {
  std::string path;  // in the version
  os::Fd fd;         // at the place
};

class Restore {
 public:
  Restore(os::Disk& disk, FileSource& source, const Context& context, RestoreRequest request)
      : disk_(disk), source_(source), context_(context), request_(std::move(request)) {}

  Result<component::Target::RestoreResult> run() {
    LOCKSTEP_CHECK(check_request());
    LOCKSTEP_CHECK(open_parent());
    LOCKSTEP_CHECK(look_at_destination());
    // Made anew for each: what a restore that died left under this name is removed.
    aside_ = ".lockstep-restore-" + context_.run + "-" +
             std::to_string(std::hash<std::string>{}(request_.location + "/" + request_.path));
    LOCKSTEP_CHECK(os::remove_tree(disk_, parent_.get(), aside_));
    const bool whole_mount = mounted_ && !request_.replace && request_.path.empty();
    auto outcome = whole_mount ? fill_mount() : build_and_place();
    auto cleaned = os::remove_tree(disk_, parent_.get(), aside_);
    if (!outcome) {
      undo_directories();
      return outcome;
    }
    LOCKSTEP_CHECK(std::move(cleaned));
    LOCKSTEP_CHECK(finish_directories());
    return outcome;
  }

  Result<bool> run_at_once() {
    const OpenTree& tree = source_.tree();
    auto top = disk_.stat(tree.root.get());
    if (tree.native.form != kSubvolume || !tree.native.exclude.empty() || !top ||
        top->st_ino != os::kSubvolumeRootInode) {
      return false;
    }
    LOCKSTEP_CHECK(check_request());
    LOCKSTEP_CHECK(open_parent());
    if (disk_.stat_at(parent_.get(), name_)) return false;
    auto made = disk_.snapshot_subvolume(parent_.get(), name_, tree.root.get(), false);
    if (!made) {
      switch (made.error().number) {
        case EXDEV:       // another file system
        case EPERM:       // somebody else's subvolume
        case EINVAL:      // no btrfs there
        case ENOTTY:      // nor there
        case EOPNOTSUPP:  // nor there
        case EEXIST:
          return false;
        default:
          return error(made.error(), "snapshot the version to");
      }
    }
    // The snapshot's commit made it durable, with its name.
    return true;
  }

 private:
  std::string destination() const { return full_path(request_.location, request_.path); }
  Error error(os::Errno number, std::string_view act) const {
    return failed(Side::target, number, act, destination());
  }

  Result<void> check_request() const {
    if (request_.location.empty() || request_.location.front() != '/') {
      return make_error(ErrorCode::usage, "the place is not an absolute path", request_.location);
    }
    if (!component::path_is_clean(request_.path)) {
      return make_error(ErrorCode::usage, "the path does not lie inside the set", request_.path);
    }
    if (lies_in_store(request_.location) || lies_in_store(request_.path)) {
      return make_error(ErrorCode::target_overlaps, "the place lies in a store of Lockstep's own",
                        destination());
    }
    if (request_.path.empty()) return {};
    const auto missing = [&] {
      return make_error(ErrorCode::not_found, "the version has no such entry", request_.path,
                        "`lockstep point ls` shows what it has");
    };
    auto parent = source_.tree().directories->get(directory_of(request_.path));
    if (!parent) return missing();
    auto seen = disk_.stat_at((*parent)->fd.get(), std::string(last_name(request_.path)));
    return seen ? Result<void>{} : missing();
  }

  // The directory in which the destination gets its name; what is missing on the way is made.
  Result<void> open_parent() {
    const std::string top =
        request_.path.empty() ? os::directory_of(request_.location) : request_.location;
    LOCKSTEP_CHECK(make_parents(request_.path.empty() ? top : os::directory_of(request_.location)));
    if (request_.path.empty()) {
      auto opened = disk_.open(os::kCwd, top, O_RDONLY | O_DIRECTORY);
      if (!opened) return failed(Side::target, opened.error(), "open the directory", top);
      parent_ = std::move(*opened);
      name_ = name_of(request_.location);
      return {};
    }
    auto root = disk_.open(os::kCwd, os::directory_of(request_.location), O_RDONLY | O_DIRECTORY);
    if (!root) return failed(Side::target, root.error(), "open the directory of", top);
    LOCKSTEP_CHECK(step_into(std::move(*root), name_of(request_.location), ""));
    const std::string_view above = directory_of(request_.path);
    for (std::size_t start = 0; start < above.size();) {
      std::size_t end = above.find('/', start);
      if (end == std::string_view::npos) end = above.size();
      LOCKSTEP_CHECK(step_into(std::move(parent_), std::string(above.substr(start, end - start)),
                               std::string(above.substr(0, end))));
      start = end + 1;
    }
    name_ = std::string(last_name(request_.path));
    return {};
  }

  // Opens `name` in `from`, or makes it; `path` is what it is in the version.
  Result<void> step_into(os::Fd from, const std::string& name, const std::string& path) {
    const std::string where = full_path(request_.location, path);
    bool made = false;
    auto opened = disk_.open(from.get(), name, O_RDONLY | O_DIRECTORY);
    if (!opened && opened.error().number == ENOENT) {
      auto created = disk_.make_directory(from.get(), name, 0700);
      if (!created) return failed(Side::target, created.error(), "make the directory", where);
      made = true;
      opened = disk_.open(from.get(), name, O_RDONLY | O_DIRECTORY);
    }
    if (!opened) return failed(Side::target, opened.error(), "open the directory", where);
    if (made) {
      auto own = disk_.open(opened->get(), ".", O_RDONLY | O_DIRECTORY);
      if (!own) return failed(Side::target, own.error(), "open the directory", where);
      made_.push_back({path, std::move(*own)});
    }
    parent_ = std::move(*opened);
    return {};
  }

  Result<void> make_parents(const std::string& directory) {
    if (directory == "/" || disk_.stat_at(os::kCwd, directory + "/.")) return {};
    LOCKSTEP_CHECK(make_parents(os::directory_of(directory)));
    auto made = disk_.make_directory(os::kCwd, directory, kNewParent);
    if (!made && made.error().number != EEXIST) {
      return failed(Side::target, made.error(), "make the directory", directory);
    }
    return {};
  }

  Result<void> look_at_destination() {
    auto seen = disk_.stat_at(parent_.get(), name_);
    if (!seen) {
      if (seen.error().number == ENOENT) return {};
      return error(seen.error(), "look at");
    }
    present_ = true;
    if (request_.replace) return {};
    const auto taken = [&] {
      return make_error(ErrorCode::place_not_empty, "something is there already", destination());
    };
    if (!S_ISDIR(seen->st_mode)) return taken();
    auto opened = disk_.open(parent_.get(), name_, O_RDONLY | O_DIRECTORY);
    if (!opened) return error(opened.error(), "open");
    auto around = disk_.file_system_id(parent_.get());
    auto inside = disk_.file_system_id(opened->get());
    mounted_ = around && inside && *around != *inside;
    auto stream = disk_.read_directory(opened->get());
    if (!stream) return error(stream.error(), "read");
    auto first = (*stream)->next();
    if (!first) return error(first.error(), "read");
    return first->has_value() ? Result<void>(taken()) : Result<void>{};
  }

  // An empty file system that was mounted for this: nothing can be renamed over its top, so it is
  // filled where it is.
  Result<component::Target::RestoreResult> fill_mount() {
    auto root = disk_.open(parent_.get(), name_, O_RDONLY | O_DIRECTORY);
    if (!root) return error(root.error(), "open");
    auto watched = disk_.open(root->get(), ".", O_RDONLY | O_DIRECTORY);  // before the first write
    if (!watched) return error(watched.error(), "open");
    WriterOptions options;
    options.where = destination();
    TreeWriter writer(disk_, std::move(*root), std::move(options));
    auto copied = copy_tree(source_, "", writer, "", context_);
    if (copied) {
      auto synced = disk_.syncfs(watched->get());
      if (synced) return component::Target::RestoreResult{copied->entries, copied->bytes, {}};
      copied = error(synced.error(), "sync what is restored to");
    }
    // It was empty before. What cannot be taken away again is no reason to hide the first error.
    auto stream = disk_.read_directory(watched->get());
    std::vector<std::string> names;
    while (stream) {
      auto next = (*stream)->next();
      if (!next || !next->has_value()) break;
      names.push_back(std::move((*next)->name));
    }
    for (const std::string& name : names) (void)os::remove_tree(disk_, watched->get(), name);
    return std::move(copied).error();
  }

  Result<component::Target::RestoreResult> build_and_place() {
    auto made = disk_.make_directory(parent_.get(), aside_, 0700);
    if (!made) return error(made.error(), "make a directory beside");
    auto root = disk_.open(parent_.get(), aside_, O_RDONLY | O_DIRECTORY);
    if (!root) return error(root.error(), "open a directory beside");
    auto watched = disk_.open(root->get(), ".", O_RDONLY | O_DIRECTORY);  // before the first write
    if (!watched) return error(watched.error(), "open a directory beside");
    WriterOptions options;
    options.where = full_path(os::directory_of(destination()), aside_);
    TreeWriter writer(disk_, std::move(*root), std::move(options));
    LOCKSTEP_TRY(const Copied copied, copy_tree(source_, request_.path, writer, kBuilt, context_));
    auto synced = disk_.syncfs(watched->get());
    if (!synced) return error(synced.error(), "sync what is restored to");

    component::Target::RestoreResult result{copied.entries, copied.bytes, {}};
    if (present_ && request_.replace) {
      LOCKSTEP_TRY(result.moved_aside, move_aside());
    } else if (present_) {
      auto emptied = disk_.remove_directory(parent_.get(), name_);
      if (!emptied) return error(emptied.error(), "make room at");
    }
    LOCKSTEP_CHECK(put_in_place(watched->get()));
    auto lasting = disk_.fsync(parent_.get());
    if (!lasting) return error(lasting.error(), "sync the directory of");
    return result;
  }

  Result<void> put_in_place(int from) {
    auto placed = disk_.rename(from, kBuilt, parent_.get(), name_, false);
    if (placed) return {};
    // A directory that its owner may not write in does not move to another one, but for root.
    auto built = disk_.open(from, kBuilt, O_RDONLY | O_DIRECTORY);
    if (placed.error().number != EACCES || !built) {
      return error(placed.error(), "put in place what is restored to");
    }
    auto info = disk_.stat(built->get());
    if (!info) return error(info.error(), "look at what is restored to");
    auto opened = disk_.change_mode(built->get(), info->st_mode | S_IRWXU);
    if (opened) opened = disk_.rename(from, kBuilt, parent_.get(), name_, false);
    if (opened) opened = disk_.change_mode(built->get(), info->st_mode & 07777);
    return opened ? Result<void>{} : error(opened.error(), "put in place what is restored to");
  }

  // The name that what stands at the destination is given, and keeps.
  Result<std::string> move_aside() {
    constexpr std::size_t kLongestName = 255;
    for (int number = 1;; ++number) {
      std::string ending = ".before-restore-" + context_.run;
      if (number > 1) ending += "." + std::to_string(number);
      const std::string aside = name_.substr(0, kLongestName - ending.size()) + ending;
      auto moved = disk_.rename(parent_.get(), name_, parent_.get(), aside, false);
      if (moved) return full_path(os::directory_of(destination()), aside);
      if (moved.error().number == EEXIST) continue;
      Error refused = error(moved.error(), "move aside what is at");
      if (moved.error().number == EBUSY) {
        refused.hint =
            "a file system is mounted there: restore to another place, or to it once empty";
      }
      return refused;
    }
  }

  // Those that were made get the metadata they have in the version, deepest first: each change
  // inside one moved its times.
  Result<void> finish_directories() {
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) {
      auto from = source_.tree().directories->get(made->path);
      if (!from) return failed(Side::source, from.error(), "open the directory", made->path);
      auto info = disk_.stat((*from)->fd.get());
      if (!info) return failed(Side::source, info.error(), "look at", made->path);
      auto xattrs = read_xattrs(disk_, (*from)->fd.get());
      if (!xattrs) {
        return failed(Side::source, xattrs.error(), "read the extended attributes of", made->path);
      }
      Entry entry;
      take_stat(*info, entry);
      entry.xattrs = std::move(*xattrs);
      auto has = disk_.stat(made->fd.get());
      if (!has) return failed(Side::target, has.error(), "look at", made->path);
      const Before before{has->st_uid, has->st_gid, has->st_mode & 07777, false};
      LOCKSTEP_CHECK(set_metadata(disk_, made->fd.get(), entry, before,
                                  full_path(request_.location, made->path)));
    }
    return {};
  }

  void undo_directories() {
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) {
      const std::string path = full_path(request_.location, made->path);
      // Empty unless somebody else put something there: then it stays.
      (void)disk_.remove_directory(os::kCwd, path);
    }
  }

  os::Disk& disk_;
  FileSource& source_;
  const Context& context_;
  RestoreRequest request_;
  os::Fd parent_;
  std::string name_;
  std::string aside_;
  bool present_ = false;
  bool mounted_ = false;             // another file system's top stands at the destination
  std::vector<MadeDirectory> made_;  // outermost first
};

}  // namespace

Result<component::Target::RestoreResult> restore_tree(os::Disk& disk, FileSource& source,
                                                      const Context& context,
                                                      const RestoreRequest& request) {
  RestoreRequest wanted = request;
  while (wanted.location.size() > 1 && wanted.location.back() == '/') wanted.location.pop_back();
  return Restore(disk, source, context, std::move(wanted)).run();
}

Result<bool> snapshot_tree(os::Disk& disk, FileSource& source, const Context& context,
                           const std::string& location) {
  return Restore(disk, source, context, {location, "", false}).run_at_once();
}

bool lies_in_store(std::string_view path) {
  for (std::size_t start = 0; start <= path.size();) {
    std::size_t end = path.find('/', start);
    if (end == std::string_view::npos) end = path.size();
    if (path.substr(start, end - start) == kStoreName) return true;
    start = end + 1;
  }
  return false;
}

}  // namespace lockstep::files
