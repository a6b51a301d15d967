// Foreign entries: those of which HDFS has no place for all, because they come from files, kept
// with the inode that stands for them.
//
// HDFS knows users by name, milliseconds, files and directories. Of an entry that says more all
// metadata stand in the attribute trusted.lockstep.entry of its inode, and are read from there
// again: MessagePack, [entry, owner, group]. `entry` is a map of what component::Entry has: k kind,
// m mode, u uid, g gid, t mtime in ns, d device, l link_target, x [[name, value]...]. Strings of
// bytes are bin; what is 0 or empty is left out. `owner` and `group` are the inode's at that time.
// Only a superuser of HDFS sets or sees an attribute trusted.*: whoever owns a file there must not
// be able to say that it is, as files, root's and set-id. What is neither file nor directory
// (symbolic links, further names of a file, devices...) is an empty file with that attribute. What
// was changed in HDFS afterwards the inode says by itself (content, time, mode, owner, ACL,
// attributes): that counts then.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/component/entry.hpp"
#include "common/components/hdfs/answers.hpp"
#include "common/error/error.hpp"

namespace lockstep::hdfs {

inline constexpr std::string_view kForeignEntry = "trusted.lockstep.entry";

bool is_foreign(const component::Entry& entry);

// What SETTIMES and SETPERMISSION are given for it.
std::int64_t hdfs_milliseconds(std::int64_t mtime_ns);
std::uint32_t hdfs_mode(component::EntryKind kind, std::uint32_t mode);

// Error: not-supported (more than HDFS lets an attribute hold by default,
// dfs.namenode.fs-limits.max-xattr-size, 16,384 bytes).
Result<std::string> packed_entry(const component::Entry& entry);
std::string foreign_mark(const std::string& packed, const std::string& owner,
                         const std::string& group);

// The entry that the inode `status` stands for, of which `mark` is that attribute and `native` what
// HDFS has besides: its attributes but for Lockstep's marks, and "hdfs.acl" where there is an ACL.
// Error: source-read (the attribute is none of ours).
Result<component::Entry> foreign_from_mark(const Status& status, std::string path,
                                           std::string_view mark,
                                           const std::vector<component::Xattr>& native);

}  // namespace lockstep::hdfs
