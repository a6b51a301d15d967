#include "common/components/hdfs/metadata.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/components/hdfs/foreign.hpp"

namespace lockstep::hdfs {

using component::Entry;
using component::EntryKind;
using component::Xattr;

namespace {

std::string joined(const std::vector<std::string>& entries) {
  std::string out;
  for (const std::string& entry : entries) out += (out.empty() ? "" : ",") + entry;
  return out;
}

template <class T>
bool read_number(const std::string& text, T& into) {
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, into);
  return read.ec == std::errc() && read.ptr == end;
}

std::string rights(std::uint32_t bits) {
  std::string out = "---";
  if ((bits & 4U) != 0) out[0] = 'r';
  if ((bits & 2U) != 0) out[1] = 'w';
  if ((bits & 1U) != 0) out[2] = 'x';
  return out;
}

// SETACL wants all of it: what GETACLSTATUS leaves to the mode (owner, mask, others) too. With
// further entries the mode's group bits are the mask.
std::string whole_acl(const std::string& kept, std::uint32_t mode) {
  const bool extended = !kept.empty() && !kept.starts_with("default:");
  std::string out = "user::" + rights(mode >> 6U) + ",";
  if (!extended) out += "group::" + rights(mode >> 3U) + ",";
  if (!kept.empty()) out += kept + ",";
  if (extended) out += "mask::" + rights(mode >> 3U) + ",";
  return out + "other::" + rights(mode);
}

Reply<void> put_xattrs(WebHdfs& hdfs, const std::string& path, const std::vector<Xattr>& wanted,
                       bool fresh) {
  std::vector<Xattr> has;
  if (!fresh) {
    LOCKSTEP_TRY(has, hdfs.xattrs(path));
  }
  for (const Xattr& xattr : has) {
    const bool mark = is_mark(xattr.name) && xattr.name != kForeignEntry;
    const bool keep = mark || std::any_of(wanted.begin(), wanted.end(), [&](const Xattr& other) {
                        return other.name == xattr.name;
                      });
    if (!keep) LOCKSTEP_CHECK(hdfs.remove_xattr(path, xattr.name));
  }
  for (const Xattr& xattr : wanted) {
    const auto found = std::find_if(has.begin(), has.end(),
                                    [&](const Xattr& other) { return other.name == xattr.name; });
    if (found != has.end() && found->value == xattr.value) continue;
    LOCKSTEP_CHECK(hdfs.set_xattr(path, xattr, found != has.end()));
  }
  return {};
}

}  // namespace

bool is_mark(std::string_view attribute) {
  return attribute.starts_with("user.lockstep.") || attribute.starts_with("trusted.lockstep.");
}

Result<Entry> to_entry(const Status& status, std::string path, const std::vector<std::string>& acl,
                       const std::vector<Xattr>& xattrs) {
  std::vector<Xattr> native;
  if (status.has_acl) native.push_back({std::string(kAcl), joined(acl)});
  const Xattr* foreign = nullptr;
  for (const Xattr& xattr : xattrs) {
    if (xattr.name == kForeignEntry) foreign = &xattr;
    if (!is_mark(xattr.name)) native.push_back(xattr);
  }
  if (foreign != nullptr) {
    return foreign_from_mark(status, std::move(path), foreign->value, native);
  }
  Entry entry;
  const bool file = status.kind == Status::Kind::file;
  entry.kind = file ? EntryKind::regular : EntryKind::directory;
  entry.mode = status.mode & 07777U;
  if (file) {
    entry.mtime_ns = status.modified_ms * kMillisecond;
    entry.size = status.length;
  }
  entry.path = std::move(path);
  entry.xattrs = std::move(native);
  const auto add = [&](std::string_view name, std::string value) {
    entry.xattrs.push_back({std::string(name), std::move(value)});
  };
  if (file) add(kBlockSize, std::to_string(status.block_size));
  add(kGroup, status.group);
  add(kOwner, status.owner);
  if (file) add(kReplication, std::to_string(status.replication));
  std::sort(entry.xattrs.begin(), entry.xattrs.end());
  entry.native.inode = status.file_id;
  entry.native.ctime_ns = entry.mtime_ns;
  return entry;
}

Result<Wanted> wanted_of(const Entry& entry) {
  Wanted wanted;
  const bool foreign = is_foreign(entry);
  if (foreign) {
    LOCKSTEP_TRY(wanted.packed, packed_entry(entry));
  }
  wanted.mode = foreign ? hdfs_mode(entry.kind, entry.mode) : entry.mode & 01777U;
  for (const Xattr& xattr : entry.xattrs) {
    bool good = true;
    if (xattr.name == kAcl) {
      wanted.acl = xattr.value;
    } else if (xattr.name == kOwner) {
      wanted.owner = xattr.value;
    } else if (xattr.name == kGroup) {
      wanted.group = xattr.value;
    } else if (xattr.name == kReplication) {
      good = read_number(xattr.value, wanted.replication);
    } else if (xattr.name == kBlockSize) {
      good = read_number(xattr.value, wanted.block_size);
    } else if (foreign) {
      good = !xattr.name.starts_with("hdfs.") && !is_mark(xattr.name);
    } else {
      good = (xattr.name.starts_with("user.") || xattr.name.starts_with("trusted.")) &&
             !is_mark(xattr.name);
      wanted.xattrs.push_back(xattr);
    }
    if (!good) {
      return make_error(ErrorCode::stream_hostile,
                        "an attribute that nothing in HDFS has: " + xattr.name, "/" + entry.path);
    }
  }
  return wanted;
}

Reply<void> put_metadata(WebHdfs& hdfs, const std::string& path, const Entry& entry,
                         const Wanted& wanted, bool fresh) {
  LOCKSTEP_TRY(const Status has, hdfs.status(path));
  const std::uint32_t mode = wanted.mode;
  const bool other_owner = (!wanted.owner.empty() && wanted.owner != has.owner) ||
                           (!wanted.group.empty() && wanted.group != has.group);
  if (other_owner) LOCKSTEP_CHECK(hdfs.set_owner(path, wanted.owner, wanted.group));
  // A directory's default ACL was inherited by what was made in it.
  bool mode_stands = has.mode == mode;
  if (wanted.acl) {
    std::vector<std::string> kept;
    if (has.has_acl) {
      LOCKSTEP_TRY(kept, hdfs.acl(path));
    }
    if (!has.has_acl || !mode_stands || joined(kept) != *wanted.acl) {
      LOCKSTEP_CHECK(hdfs.set_acl(path, whole_acl(*wanted.acl, mode)));
      mode_stands =
          (mode & 01000U) == 0 && (has.mode & 01000U) == 0;  // the sticky bit is not in it
    }
  } else if (has.has_acl) {
    LOCKSTEP_CHECK(hdfs.remove_acl(path));
    mode_stands = false;
  }
  if (!mode_stands) LOCKSTEP_CHECK(hdfs.set_mode(path, mode));
  if (wanted.packed.empty()) {
    LOCKSTEP_CHECK(put_xattrs(hdfs, path, wanted.xattrs, fresh));
  } else {
    const std::string& owner = wanted.owner.empty() ? has.owner : wanted.owner;
    const std::string& group = wanted.group.empty() ? has.group : wanted.group;
    LOCKSTEP_CHECK(put_xattrs(
        hdfs, path, {{std::string(kForeignEntry), foreign_mark(wanted.packed, owner, group)}},
        fresh));
  }
  const bool file = entry.kind == EntryKind::regular;
  if (file && wanted.replication != 0 && wanted.replication != has.replication) {
    LOCKSTEP_CHECK(hdfs.set_replication(path, wanted.replication));
  }
  if (!file) return {};
  const std::int64_t milliseconds = hdfs_milliseconds(entry.mtime_ns);
  // Setting owner, mode or attributes leaves the time as it is.
  if (milliseconds == has.modified_ms) return {};
  return hdfs.set_modified(path, milliseconds);
}

}  // namespace lockstep::hdfs
