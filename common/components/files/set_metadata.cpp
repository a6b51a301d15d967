#include "common/components/files/set_metadata.hpp"

#include <algorithm>
#include <cerrno>

#include "common/components/files/metadata.hpp"

namespace lockstep::files {

using component::Entry;
using component::EntryKind;
using component::Xattr;

namespace {

Error refused(os::Errno number, std::string_view act, const std::string& where) {
  Error error = failed(Side::target, number, act, where);
  if (error.code == ErrorCode::permission) {
    error.hint = "run the agent that receives as root, or let it own what it backs up";
  }
  return error;
}

Error xattr_refused(os::Errno number, const Xattr& xattr, const std::string& where) {
  if (number.number == EOPNOTSUPP) {
    return make_error(ErrorCode::wrong_filesystem,
                      "the file system cannot keep the extended attribute " + xattr.name, where);
  }
  return refused(number, "set the extended attribute " + xattr.name + " of", where);
}

// Brings the carried xattrs of an existing file to those of `entry`.
Result<void> change_xattrs(os::Disk& disk, int fd, const Entry& entry, const std::string& where) {
  auto present = read_xattrs(disk, fd);
  if (!present) return refused(present.error(), "read the extended attributes of", where);
  for (const Xattr& has : *present) {
    const bool stays = std::any_of(entry.xattrs.begin(), entry.xattrs.end(),
                                   [&](const Xattr& wanted) { return wanted.name == has.name; });
    if (stays) continue;
    auto removed = disk.remove_xattr(fd, name_on_disk(has.name));
    if (!removed && removed.error().number != ENODATA) {
      return refused(removed.error(), "remove the extended attribute " + has.name + " of", where);
    }
  }
  for (const Xattr& wanted : entry.xattrs) {
    if (std::find(present->begin(), present->end(), wanted) != present->end()) continue;
    auto set = disk.set_xattr(fd, name_on_disk(wanted.name), wanted.value);
    if (!set) return xattr_refused(set.error(), wanted, where);
  }
  return {};
}

}  // namespace

Result<void> set_metadata(os::Disk& disk, int fd, const Entry& entry, const Before& before,
                          const std::string& where) {
  const bool new_owner = before.uid != entry.uid || before.gid != entry.gid;
  if (new_owner) {
    auto done = disk.change_owner(fd, entry.uid, entry.gid);
    if (!done) return refused(done.error(), "change the owner of", where);
  }
  if (new_owner || before.mode != entry.mode) {
    auto done = disk.change_mode(fd, entry.mode);
    if (!done) return refused(done.error(), "change the mode of", where);
  }
  if (before.bare) {
    for (const Xattr& xattr : entry.xattrs) {
      auto set = disk.set_xattr(fd, name_on_disk(xattr.name), xattr.value);
      if (!set) return xattr_refused(set.error(), xattr, where);
    }
  } else {
    LOCKSTEP_CHECK(change_xattrs(disk, fd, entry, where));
  }
  if (before.mtime_ns == entry.mtime_ns) return {};
  auto done = disk.set_times(fd, {entry.mtime_ns});
  if (!done) return refused(done.error(), "set the times of", where);
  return {};
}

Result<void> set_metadata_at(os::Disk& disk, int directory, const std::string& name,
                             const Entry& entry, const std::string& where) {
  auto info = disk.stat_at(directory, name);
  if (!info) return refused(info.error(), "look at", where);
  if (info->st_uid != entry.uid || info->st_gid != entry.gid) {
    auto done = disk.change_owner_at(directory, name, entry.uid, entry.gid);
    if (!done) return refused(done.error(), "change the owner of", where);
  }
  if (entry.kind != EntryKind::symlink) {
    auto done = disk.change_mode_at(directory, name, entry.mode);
    if (!done) return refused(done.error(), "change the mode of", where);
  }
  for (const Xattr& xattr : entry.xattrs) {
    auto set = disk.set_xattr_at(directory, name, name_on_disk(xattr.name), xattr.value);
    if (!set) return xattr_refused(set.error(), xattr, where);
  }
  auto done = disk.set_times_at(directory, name, {entry.mtime_ns});
  if (!done) return refused(done.error(), "set the times of", where);
  return {};
}

}  // namespace lockstep::files
