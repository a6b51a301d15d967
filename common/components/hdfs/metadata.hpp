// Metadata: an inode of HDFS as an Entry, and an Entry's metadata put onto an inode.
//
// Users and groups of HDFS are names, and have no numbers: uid and gid of an Entry are 0. What HDFS
// has and an Entry has no field for stands among its attributes, of these names, as text:
// hdfs.owner, hdfs.group; hdfs.acl, where there is an ACL: its entries as GETACLSTATUS gives them,
// joined by ','; of a file hdfs.block_size, in bytes, and hdfs.replication.
// Times are of milliseconds. Those of directories are 0: HDFS does not fix them. The time of a
// directory in a snapshot moves on when something is made in the live directory later (3.4.2: the
// NameNode records the new child in the difference, but not the time that the child changes), and
// a snapshot's root has the time of the snapshot.
// Attributes of the names user.lockstep.* and trusted.lockstep.* are Lockstep's own marks and no
// part of the data set; one of them stands for entries of other kinds (foreign.hpp).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/component/entry.hpp"
#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hdfs {

inline constexpr std::string_view kAcl = "hdfs.acl";
inline constexpr std::string_view kBlockSize = "hdfs.block_size";
inline constexpr std::string_view kGroup = "hdfs.group";
inline constexpr std::string_view kOwner = "hdfs.owner";
inline constexpr std::string_view kReplication = "hdfs.replication";

inline constexpr std::int64_t kMillisecond = 1'000'000;  // in nanoseconds

bool is_mark(std::string_view attribute);

// `path` is relative to the set's root. Error: source-read (a foreign entry that cannot be read).
Result<component::Entry> to_entry(const Status& status, std::string path,
                                  const std::vector<std::string>& acl,
                                  const std::vector<component::Xattr>& xattrs);

// What an Entry says of its inode.
struct Wanted {
  std::uint32_t mode = 0;
  std::string owner, group;  // empty: not said
  std::optional<std::string> acl;
  std::uint32_t replication = 0;  // 0: not said
  std::uint64_t block_size = 0;   // 0: not said
  std::vector<component::Xattr> xattrs;
  std::string packed;  // of a foreign entry, instead of xattrs
};
// Errors: stream-hostile (attributes that no inode of HDFS has), not-supported (of a foreign
// entry).
Result<Wanted> wanted_of(const component::Entry& entry);

// Owner, group, mode, ACL, attributes, replication and, last, the time, where they differ from what
// `has` and the inode's attributes say. `fresh`: the inode was just made and has no attributes.
Reply<void> put_metadata(WebHdfs& hdfs, const std::string& path, const component::Entry& entry,
                         const Wanted& wanted, bool fresh);

}  // namespace lockstep::hdfs
