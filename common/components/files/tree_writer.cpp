#include "common/components/files/tree_writer.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/components/files/copy_content.hpp"
#include "common/components/files/metadata.hpp"
#include "common/os/remove_tree.hpp"

namespace lockstep::files {

using component::Action;
using component::Entry;
using component::EntryKind;

namespace {

constexpr mode_t kNewFile = 0600;
constexpr mode_t kPlainMode = 0777;
constexpr mode_t kOpenedUp = 0700;
constexpr std::uint64_t kWrittenOver = 65'536;
constexpr std::size_t kLongestText = 4095;       // of a symbolic link
constexpr std::size_t kMostXattrBytes = 65'536;  // XATTR_SIZE_MAX
constexpr std::size_t kLongestXattrName = 255;
constexpr const char* kDefaultAcl = "system.posix_acl_default";

Error hostile(std::string what, const std::string& path) {
  return make_error(ErrorCode::stream_hostile, std::move(what), path);
}

// What openat2(2) answers where a way leads out of the root or through what is no directory.
bool leads_astray(int number) { return number == ELOOP || number == EXDEV || number == ENOTDIR; }

}  // namespace

TreeWriter::TreeWriter(os::Disk& disk, os::Fd root, WriterOptions options)
    : disk_(disk),
      root_(std::move(root)),
      options_(std::move(options)),
      directories_(disk, root_.get()) {}

Error TreeWriter::error(os::Errno number, std::string_view act) const {
  return failed(Side::target, number, act, full_path(options_.where, entry_.path));
}

Result<void> TreeWriter::check(const Entry& entry) const {
  if (!component::path_is_clean(entry.path)) {
    return hostile("the path leads out of its tree", entry.path);
  }
  if (entry.path.empty() && entry.kind != EntryKind::directory) {
    return hostile("the root of a tree of files is a directory", options_.where);
  }
  if (entry.kind == EntryKind::symlink &&
      (entry.link_target.empty() || entry.link_target.size() > kLongestText ||
       entry.link_target.find('\0') != std::string::npos)) {
    return hostile("the text of the symbolic link is none that a file system can keep", entry.path);
  }
  if (entry.kind == EntryKind::hard_link &&
      (entry.link_target.empty() || !component::path_is_clean(entry.link_target))) {
    return hostile("the hard link's first name leads out of its tree", entry.path);
  }
  for (const component::Xattr& xattr : entry.xattrs) {
    if (!is_entrys_xattr(xattr.name) || name_on_disk(xattr.name).size() > kLongestXattrName ||
        xattr.name.find('\0') != std::string::npos || xattr.value.size() > kMostXattrBytes) {
      return hostile("an extended attribute is of a kind that is never carried", entry.path);
    }
  }
  return {};
}

Result<std::shared_ptr<Directory>> TreeWriter::parent_of_entry(std::string_view path,
                                                               bool to_write) {
  const std::string_view parent = directory_of(path);
  auto found = directories_.get(parent);
  if (!found) {
    if (leads_astray(found.error().number)) {
      return hostile("the way to the entry leads through what is no directory", std::string(path));
    }
    return failed(Side::target, found.error(), "open the directory of",
                  full_path(options_.where, path));
  }
  if (to_write && !(*found)->ready) LOCKSTEP_CHECK(open_up(**found, parent));
  return std::move(*found);
}

Result<void> TreeWriter::open_up(Directory& directory, std::string_view path) {
  const auto where = [&] { return full_path(options_.where, path); };
  auto info = disk_.stat(directory.fd.get());
  if (!info) return failed(Side::target, info.error(), "look at", where());
  if ((info->st_mode & S_IRWXU) != S_IRWXU || (info->st_mode & S_ISGID) != 0) {
    auto changed = disk_.change_mode(directory.fd.get(), kOpenedUp);
    if (!changed) return failed(Side::target, changed.error(), "change the mode of", where());
  }
  // Asked first: on btrfs even a removal that finds nothing is a transaction.
  auto acl = disk_.get_xattr(directory.fd.get(), kDefaultAcl);
  if (acl) {
    auto removed = disk_.remove_xattr(directory.fd.get(), kDefaultAcl);
    if (!removed)
      return failed(Side::target, removed.error(), "remove the default ACL of", where());
  } else if (acl.error().number != ENODATA && acl.error().number != EOPNOTSUPP) {
    return failed(Side::target, acl.error(), "read the default ACL of", where());
  }
  directory.ready = true;
  return {};
}

Result<void> TreeWriter::begin(const Entry& entry, Action action) {
  open_.reset();
  LOCKSTEP_CHECK(check(entry));
  entry_ = entry;
  if (entry.path.empty()) return {};  // the root is there
  LOCKSTEP_TRY(parent_, parent_of_entry(entry.path, true));
  const std::string name(last_name(entry.path));
  switch (entry.kind) {
    case EntryKind::directory:
      return begin_directory(*parent_, name);
    case EntryKind::regular:
      return action == Action::create ? begin_new_file(*parent_, name)
                                      : begin_base_file(*parent_, name, action);
    case EntryKind::hard_link:
      return make_link(*parent_, name);
    default:
      return make_other(*parent_, name);
  }
}

Result<void> TreeWriter::begin_directory(Directory& parent, const std::string& name) {
  for (int attempt = 0;; ++attempt) {
    auto made = disk_.make_directory(parent.fd.get(), name, kOpenedUp);
    if (made) return {};
    if (made.error().number != EEXIST || attempt > 0)
      return error(made.error(), "make the directory");
    auto info = disk_.stat_at(parent.fd.get(), name);
    if (!info) return error(info.error(), "look at");
    if (S_ISDIR(info->st_mode)) return {};
    LOCKSTEP_CHECK(clear(parent, name, entry_.path));
  }
}

Result<void> TreeWriter::begin_new_file(Directory& parent, const std::string& name) {
  for (int attempt = 0;; ++attempt) {
    // With the mode that it keeps, which spares a call; but no bits that give rights to who runs
    // it.
    const mode_t asked = entry_.mode & kPlainMode;
    auto made = disk_.open(parent.fd.get(), name, O_RDWR | O_CREAT | O_EXCL, asked);
    if (!made) {
      if (made.error().number != EEXIST || attempt > 0) return error(made.error(), "make");
      auto there = disk_.stat_at(parent.fd.get(), name);
      if (there && is_written_over(*there)) {
        LOCKSTEP_CHECK(begin_old_file(parent, name, *there, Action::patch));
        open_->over = true;
        return {};
      }
      LOCKSTEP_CHECK(clear(parent, name, entry_.path));
      continue;
    }
    if (!parent.owner_known || (asked & ~parent.known) != 0) {
      // The same for all that is made here: the process's, or the directory's by its mount.
      auto info = disk_.stat(made->get());
      if (!info) return error(info.error(), "look at");
      parent.new_uid = info->st_uid;
      parent.new_gid = info->st_gid;
      parent.known |= asked;
      parent.passed |= asked & info->st_mode;
      parent.added |= info->st_mode & 07777 & ~asked;
      parent.owner_known = true;
    }
    Open open;
    open.fd = std::move(*made);
    open.before = {parent.new_uid, parent.new_gid, (asked & parent.passed) | parent.added, true};
    open.fresh = true;
    open_ = std::move(open);
    return {};
  }
}

// Whether what has the name can take the new content where it lies, which is cheaper than another
// inode: a small file of this tree alone, without holes.
bool TreeWriter::is_written_over(const struct ::stat& there) const {
  return entry_.size <= kWrittenOver && entry_.holes.empty() && S_ISREG(there.st_mode) &&
         there.st_nlink == 1;
}

Result<void> TreeWriter::begin_base_file(Directory& parent, const std::string& name,
                                         Action action) {
  auto info = disk_.stat_at(parent.fd.get(), name);
  if (!info) return error(info.error(), "find in the base");
  if (!S_ISREG(info->st_mode)) {
    return make_error(ErrorCode::target_write, "the base has no regular file to change here",
                      full_path(options_.where, entry_.path),
                      "the two sides' bases differ: transfer without a base");
  }
  return begin_old_file(parent, name, *info, action);
}

Result<void> TreeWriter::begin_old_file(Directory& parent, const std::string& name,
                                        const struct ::stat& there, Action action) {
  Open open;
  open.before = {there.st_uid, there.st_gid, there.st_mode & 07777, false};
  const bool shared = options_.shares_inodes && there.st_nlink > 1;
  std::shared_ptr<Directory> base;
  if (!shared && action == Action::metadata && options_.base != nullptr) {
    // A copy that an earlier process made, and whose content a loss of power may have taken.
    if (auto found = options_.base->get(directory_of(entry_.path))) base = std::move(*found);
  }
  if (shared || base != nullptr) {
    const int from = shared ? parent.fd.get() : base->fd.get();
    LOCKSTEP_TRY(open.fd, copy_apart(parent, name, from, action));
    auto copied = disk_.stat(open.fd.get());
    if (!copied) return error(copied.error(), "look at the copy of");
    open.before = {copied->st_uid, copied->st_gid, copied->st_mode & 07777, true};
    open_ = std::move(open);
    return {};
  }
  auto opened = disk_.open(parent.fd.get(), name, O_RDWR | O_NONBLOCK);
  if (!opened && opened.error().number == EACCES) {
    // Not root, and a mode that shuts its owner out: finish() sets it again.
    auto changed = disk_.change_mode_at(parent.fd.get(), name, kNewFile);
    if (!changed) return error(changed.error(), "change the mode of");
    open.before.mode = kNewFile;
    opened = disk_.open(parent.fd.get(), name, O_RDWR | O_NONBLOCK);
  }
  if (!opened) return error(opened.error(), "open");
  open.fd = std::move(*opened);
  open_ = std::move(open);
  return {};
}

Result<os::Fd> TreeWriter::copy_apart(Directory& parent, const std::string& name,
                                      int from_directory, Action action) {
  const std::string aside = options_.scratch + "/copy";
  auto gone = disk_.unlink(os::kCwd, aside);
  if (!gone && gone.error().number != ENOENT) return error(gone.error(), "make room to copy");
  auto from = disk_.open(from_directory, name, O_RDONLY | O_NONBLOCK);
  if (!from) return error(from.error(), "open");
  auto info = disk_.stat(from->get());
  if (!info) return error(info.error(), "look at");
  if (!S_ISREG(info->st_mode)) return error({EINVAL}, "copy what is no regular file");
  auto to = disk_.open(os::kCwd, aside, O_RDWR | O_CREAT | O_EXCL, kNewFile);
  if (!to) return error(to.error(), "make a copy of");
  auto copied =
      copy_content(disk_, from->get(), to->get(), static_cast<std::uint64_t>(info->st_size));
  if (!copied) return error(copied.error(), "copy");
  if (action == Action::patch) {
    // The name must not last longer than the content: a patch that is resumed after a loss of power
    // keeps what it finds here. (Where only metadata changes the base's content is taken again.)
    auto synced = disk_.fdatasync(to->get());
    if (!synced) return error(synced.error(), "sync the copy of");
  }
  auto placed = disk_.rename(os::kCwd, aside, parent.fd.get(), name);
  if (!placed) return error(placed.error(), "put the copy in place of");
  return std::move(*to);
}

Result<void> TreeWriter::make_link(Directory& parent, const std::string& name) {
  LOCKSTEP_TRY(const auto first_parent, parent_of_entry(entry_.link_target, false));
  const std::string first_name(last_name(entry_.link_target));
  auto first = disk_.stat_at(first_parent->fd.get(), first_name);
  if (!first) return error(first.error(), "find the first name of the hard link");
  if (!S_ISREG(first->st_mode)) {
    return hostile("the hard link's first name is no regular file", entry_.path);
  }
  for (int attempt = 0;; ++attempt) {
    auto made = disk_.link(first_parent->fd.get(), first_name, parent.fd.get(), name);
    if (made) return {};
    if (made.error().number != EEXIST || attempt > 0) return error(made.error(), "link");
    auto present = disk_.stat_at(parent.fd.get(), name);
    if (present && present->st_ino == first->st_ino && present->st_dev == first->st_dev) return {};
    LOCKSTEP_CHECK(clear(parent, name, entry_.path));
  }
}

Result<void> TreeWriter::make_other(Directory& parent, const std::string& name) {
  const auto make = [&]() -> os::Sys<void> {
    switch (entry_.kind) {
      case EntryKind::symlink:
        return disk_.symlink(entry_.link_target, parent.fd.get(), name);
      case EntryKind::fifo:
        return disk_.make_node(parent.fd.get(), name, S_IFIFO | kNewFile, 0);
      case EntryKind::socket:
        return disk_.make_node(parent.fd.get(), name, S_IFSOCK | kNewFile, 0);
      case EntryKind::char_device:
        return disk_.make_node(parent.fd.get(), name, S_IFCHR | kNewFile, entry_.device);
      default:
        return disk_.make_node(parent.fd.get(), name, S_IFBLK | kNewFile, entry_.device);
    }
  };
  for (int attempt = 0;; ++attempt) {
    auto made = make();
    if (made) return {};
    if (made.error().number != EEXIST || attempt > 0) return error(made.error(), "make");
    LOCKSTEP_CHECK(clear(parent, name, entry_.path));
  }
}

Result<void> TreeWriter::write(std::uint64_t offset, std::span<const std::byte> data) {
  if (!open_) return make_error(ErrorCode::internal, "no regular file was begun", entry_.path);
  if (data.size() > entry_.size || offset > entry_.size - data.size()) {
    return hostile("content beyond the end of the file", entry_.path);
  }
  auto written = disk_.write_at(open_->fd.get(), offset, data);
  if (!written) return error(written.error(), "write");
  open_->written_to = std::max(open_->written_to, offset + data.size());
  return {};
}

Result<void> TreeWriter::fill_from(int from) {
  if (!open_) return make_error(ErrorCode::internal, "no regular file was begun", entry_.path);
  auto copied = copy_content(disk_, from, open_->fd.get(), entry_.size);
  if (!copied) return error(copied.error(), "copy");
  open_->written_to = entry_.size;
  return {};
}

os::Sys<void> TreeWriter::link_from(int directory, const std::string& name,
                                    const std::string& path) {
  auto parent = directories_.get(directory_of(path));
  if (!parent) return parent.error();
  return disk_.link(directory, name, (*parent)->fd.get(), std::string(last_name(path)));
}

Result<void> TreeWriter::cut(const Open& open, std::uint64_t size) {
  auto done = disk_.truncate(open.fd.get(), size);
  if (!done) return error(done.error(), "set the size of");
  return {};
}

Result<void> TreeWriter::finish() {
  const auto where = [this] { return full_path(options_.where, entry_.path); };
  if (!open_) {
    const bool other = entry_.kind != EntryKind::directory && entry_.kind != EntryKind::regular &&
                       entry_.kind != EntryKind::hard_link;
    if (!other || !parent_) return {};
    return set_metadata_at(disk_, parent_->fd.get(), std::string(last_name(entry_.path)), entry_,
                           where());
  }
  Open open = std::move(*open_);
  open_.reset();
  std::uint64_t size = open.written_to;
  if (open.over && size < entry_.size) {
    // Nothing stays of what was there: what did not come is a hole, as in a new file.
    LOCKSTEP_CHECK(cut(open, size));
  } else if (!open.fresh) {
    auto info = disk_.stat(open.fd.get());
    if (!info) return error(info.error(), "look at");
    size = static_cast<std::uint64_t>(info->st_size);
  }
  if (size != entry_.size) LOCKSTEP_CHECK(cut(open, entry_.size));
  if (!open.fresh) {
    for (const component::Extent& hole : entry_.holes) {
      if (hole.offset > entry_.size || hole.length > entry_.size - hole.offset) {
        return hostile("a hole beyond the end of the file", entry_.path);
      }
      auto punched = disk_.punch_hole(open.fd.get(), hole.offset, hole.length);
      if (punched) continue;
      if (punched.error().number != EOPNOTSUPP) return error(punched.error(), "make a hole in");
      return make_error(ErrorCode::wrong_filesystem, "the file system cannot make holes", where());
    }
    // Not as it was in the beginning: writing and cutting take set-user-ID bits away (write(2)).
    auto info = disk_.stat(open.fd.get());
    if (!info) return error(info.error(), "look at");
    open.before.uid = info->st_uid;
    open.before.gid = info->st_gid;
    open.before.mode = info->st_mode & 07777;
  }
  return set_metadata(disk_, open.fd.get(), entry_, open.before, where());
}

Result<std::size_t> TreeWriter::read_back(std::uint64_t offset, std::span<std::byte> into) {
  if (!open_) return make_error(ErrorCode::internal, "no regular file was begun", entry_.path);
  auto got = disk_.read_at(open_->fd.get(), offset, into);
  if (!got) return error(got.error(), "read back");
  return *got;
}

Result<void> TreeWriter::remove(const std::string& path) {
  open_.reset();
  if (path.empty() || !component::path_is_clean(path)) {
    return hostile("the path to remove leads out of its tree", path);
  }
  auto parent = directories_.get(directory_of(path));
  if (!parent) {
    const int number = parent.error().number;
    if (number == ENOENT || leads_astray(number)) return {};  // gone with what held it
    return failed(Side::target, parent.error(), "open the directory of",
                  full_path(options_.where, path));
  }
  const std::string name(last_name(path));
  auto info = disk_.stat_at((*parent)->fd.get(), name);
  if (!info && info.error().number == ENOENT) return {};
  if (!(*parent)->ready) LOCKSTEP_CHECK(open_up(**parent, directory_of(path)));
  return clear(**parent, name, path);
}

Result<void> TreeWriter::clear(Directory& parent, const std::string& name, std::string_view path) {
  auto unlinked = disk_.unlink(parent.fd.get(), name);
  if (unlinked || unlinked.error().number == ENOENT) return {};
  if (unlinked.error().number != EISDIR && unlinked.error().number != EPERM) {
    return failed(Side::target, unlinked.error(), "remove", full_path(options_.where, path));
  }
  directories_.forget(path);
  return os::remove_tree(disk_, parent.fd.get(), name);
}

Result<void> TreeWriter::leave_directory(const Entry& directory) {
  open_.reset();
  LOCKSTEP_CHECK(check(directory));
  if (directory.kind != EntryKind::directory) {
    return hostile("only a directory can be left", directory.path);
  }
  entry_ = directory;
  auto found = directories_.get(directory.path);
  if (!found) {
    if (leads_astray(found.error().number)) {
      return hostile("the way to the directory leads through what is none", directory.path);
    }
    return error(found.error(), "open the directory");
  }
  const int fd = (*found)->fd.get();
  auto info = disk_.stat(fd);
  if (!info) return error(info.error(), "look at");
  // Where files changed but no name did, the directory's times are the base's still.
  const Before before{info->st_uid, info->st_gid, info->st_mode & 07777, false, mtime_ns(*info)};
  // Closed to its owner, perhaps, from here on: whoever comes back opens it up again.
  directories_.forget(directory.path);
  return set_metadata(disk_, fd, directory, before, full_path(options_.where, directory.path));
}

}  // namespace lockstep::files
