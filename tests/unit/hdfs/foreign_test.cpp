// Entries of files, kept in HDFS.
#include "common/components/hdfs/foreign.hpp"

#include <catch2/catch.hpp>

#include "common/components/hdfs/metadata.hpp"

using namespace lockstep;
using namespace lockstep::hdfs;
using component::Entry;
using component::EntryKind;
using namespace std::string_literals;

namespace {

// What a NameNode says of the inode that stands for it, once it was put there.
Status inode_of(const Entry& entry) {
  const Wanted wanted = wanted_of(entry).value();
  Status status;
  status.kind = entry.kind == EntryKind::directory ? Status::Kind::directory : Status::Kind::file;
  status.length = entry.size;
  status.mode = wanted.mode;
  status.owner = status.group = "hdfs";
  status.modified_ms = hdfs_milliseconds(entry.mtime_ns);
  status.replication = 3;
  status.block_size = 1 << 27;
  status.file_id = 7;
  return status;
}

Entry read_again(const Entry& entry, const Status& status,
                 std::vector<component::Xattr> besides = {}) {
  const std::string packed = wanted_of(entry).value().packed;
  besides.push_back({std::string(kForeignEntry), foreign_mark(packed, "hdfs", "hdfs")});
  return to_entry(status, entry.path, {}, besides).value();
}

bool same(const Entry& a, const Entry& b) {
  return a.path == b.path && a.kind == b.kind && a.mode == b.mode && a.uid == b.uid &&
         a.gid == b.gid && a.mtime_ns == b.mtime_ns && a.size == b.size && a.device == b.device &&
         a.link_target == b.link_target && a.xattrs == b.xattrs;
}

Entry entry_of(EntryKind kind) {
  Entry entry;
  entry.path = "a/b";
  entry.kind = kind;
  entry.mode = 06754;
  entry.uid = 1000;
  entry.gid = 4'000'000'000;
  entry.mtime_ns = 1'234'567'890'123'456'789;
  entry.xattrs = {{"security.capability", std::string("\0\xff\x01", 3)}, {"user.\xe9", ""}};
  return entry;
}

}  // namespace

TEST_CASE("hdfs: every kind of entry of files is read again as it was") {
  Entry file = entry_of(EntryKind::regular);
  file.size = 5;
  Entry old = file;
  old.mtime_ns = -1;
  Entry directory = entry_of(EntryKind::directory);
  directory.mode = 03777;
  Entry link = entry_of(EntryKind::symlink);
  link.mode = 0;
  link.link_target = "../\xff";
  Entry device = entry_of(EntryKind::block_device);
  device.device = 0x0123456789abcdefULL;
  Entry further;
  further.path = "c";
  further.kind = EntryKind::hard_link;
  further.link_target = "a/b";
  for (const Entry& entry : {file, old, directory, link, device, further, entry_of(EntryKind::fifo),
                             entry_of(EntryKind::socket)}) {
    INFO(static_cast<int>(entry.kind));
    CHECK(is_foreign(entry));
    CHECK(same(read_again(entry, inode_of(entry)), entry));
  }
}

TEST_CASE("hdfs: what was changed in HDFS counts, and the rest is as it was in files") {
  Entry file = entry_of(EntryKind::regular);
  file.size = 5;
  Status status = inode_of(file);
  status.length = 9;
  status.modified_ms += 1000;
  Entry now = read_again(file, status);
  CHECK(now.size == 9);
  CHECK(now.mtime_ns == status.modified_ms * 1'000'000);
  CHECK(now.mode == file.mode);
  CHECK(now.uid == file.uid);
  status = inode_of(file);
  status.mode = 0600;
  now = read_again(file, status);
  CHECK(now.mode == 0600);
  CHECK(now.mtime_ns == file.mtime_ns);

  status = inode_of(file);
  status.owner = "alice";
  now = read_again(file, status, {{"user.colour", "blue"}});
  CHECK(now.uid == file.uid);
  CHECK((now.xattrs == std::vector<component::Xattr>{{"hdfs.group", "hdfs"},
                                                     {"hdfs.owner", "alice"},
                                                     {"security.capability", "\0\xff\x01"s},
                                                     {"user.colour", "blue"},
                                                     {"user.\xe9", ""}}));

  Entry link = entry_of(EntryKind::symlink);
  link.mode = 0;
  link.link_target = "x";
  status = inode_of(link);
  status.length = 3;
  now = read_again(link, status);
  CHECK(now.kind == EntryKind::regular);
  CHECK(now.size == 3);
  CHECK(now.link_target.empty());
}

TEST_CASE(
    "hdfs: of what comes from HDFS, what it cannot hold any more is kept beside what it can") {
  Status status;
  status.kind = Status::Kind::directory;
  status.mode = 0755;
  status.owner = "alice";
  status.group = "accounting";
  status.has_acl = true;
  Entry entry = to_entry(status, "a", {"user:bob:r-x"}, {{"user.colour", "blue"}}).value();
  REQUIRE_FALSE(is_foreign(entry));
  entry.mtime_ns = 5;  // a file system's
  entry.uid = 1000;
  REQUIRE(is_foreign(entry));
  const Wanted wanted = wanted_of(entry).value();
  CHECK(wanted.owner == "alice");
  CHECK(wanted.acl == "user:bob:r-x");
  const std::vector<component::Xattr> marks{
      {std::string(kForeignEntry), foreign_mark(wanted.packed, "alice", "accounting")}};
  CHECK(same(to_entry(status, "a", {"user:bob:r-x"}, marks).value(), entry));
  status.owner = "carol";
  status.has_acl = false;
  const Entry now = to_entry(status, "a", {}, marks).value();
  CHECK((now.xattrs == std::vector<component::Xattr>{{"hdfs.group", "accounting"},
                                                     {"hdfs.owner", "carol"},
                                                     {"user.colour", "blue"}}));
}

TEST_CASE("hdfs: an entry of its own is no foreign one, and stays one without a mark") {
  Status status;
  status.kind = Status::Kind::file;
  status.mode = 0644;
  status.owner = "alice";
  const Entry own = to_entry(status, "a", {}, {{"user.lockstep.attempt", "x"}}).value();
  CHECK_FALSE(is_foreign(own));
  CHECK(wanted_of(own).value().packed.empty());
}

TEST_CASE("hdfs: what any owner of a file can set says nothing of what it is as files") {
  Status status;
  status.kind = Status::Kind::file;
  status.mode = 0755;
  status.owner = "mallory";
  const std::string mark =
      foreign_mark(packed_entry(entry_of(EntryKind::regular)).value(), "mallory", "");
  const Entry read = to_entry(status, "a", {}, {{"user.lockstep.entry", mark}}).value();
  CHECK(read.mode == 0755);
  CHECK(read.uid == 0);
  CHECK_FALSE(is_foreign(read));
}

TEST_CASE("hdfs: what an inode cannot hold, and a mark that says nothing, are refused by name") {
  Entry large = entry_of(EntryKind::regular);
  large.xattrs.push_back({"user.large", std::string(16'384, 'x')});
  const auto refused = wanted_of(large);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::not_supported);
  CHECK(refused.error().where == "/a/b");
  const std::string good =
      foreign_mark(packed_entry(entry_of(EntryKind::fifo)).value(), "hdfs", "hdfs");
  std::vector<std::string> marks{"", "x", "\xff\xff", foreign_mark("\x81\xa1k\x00"s, "", ""),
                                 foreign_mark("\x81\xa1k\x09"s, "", "")};
  for (std::size_t i = 0; i < good.size(); ++i) marks.push_back(good.substr(0, i));
  for (const std::string& mark : marks) {
    const auto read = foreign_from_mark({}, "a", mark, {});
    REQUIRE_FALSE(read);
    CHECK(read.error().code == ErrorCode::source_read);
  }
}
