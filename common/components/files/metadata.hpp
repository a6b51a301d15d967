// Metadata: reading what Lockstep carries of one entry, beside its stat(2).
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/component/entry.hpp"
#include "common/components/files/side.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

// Of a name on disk: true for user.*, trusted.*, security.* and the two POSIX ACLs
// (docs/point-format.md).
bool is_carried_xattr(std::string_view name);

// What HDFS tells of an inode and no file system has a place for ("hdfs.owner",
// common/components/hdfs/metadata.hpp) stands on disk among the attributes of users, as
// "user.lockstep.hdfs.owner".
std::string name_on_disk(const std::string& name);
// Whether an entry may have an attribute of this name.
bool is_entrys_xattr(const std::string& name);

std::int64_t mtime_ns(const struct ::stat& info);
std::int64_t ctime_ns(const struct ::stat& info);

// Kind, mode, owner, time, size and device of `info` (of the kinds that have them).
void take_stat(const struct ::stat& info, component::Entry& entry);

// The carried xattrs, sorted by name: of a descriptor, or of a name in a directory. None where the
// file system has none.
os::Sys<std::vector<component::Xattr>> read_xattrs(os::Disk& disk, int fd);
os::Sys<std::vector<component::Xattr>> read_xattrs_at(os::Disk& disk, int directory,
                                                      const std::string& name);

// The holes of an opened file of `size` bytes.
os::Sys<std::vector<component::Extent>> find_holes(os::Disk& disk, int fd, std::uint64_t size);
// True where the file takes less space than its size: only then is there a hole to look for.
bool may_have_holes(const struct ::stat& info);

}  // namespace lockstep::files
