// The calls that only some file systems have, on file systems of their own over loop devices.
#include <fcntl.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <set>

#include "common/os/btrfs_names.hpp"
#include "common/os/btrfs_tree.hpp"
#include "common/os/disk.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;

namespace {

os::Fd must_open(os::Disk& disk, int directory, const std::string& path, int flags) {
  auto fd = disk.open(directory, path, flags, 0644);
  REQUIRE(fd);
  return std::move(*fd);
}

// A file system of its own.
struct Mounted {
  test::LoopMount mount;
  std::unique_ptr<os::Disk> disk = os::make_kernel_disk();
  os::Fd root;

  Mounted(const std::string& kind, const std::string& size) : mount(kind, size) {
    if (!mount.mounted()) {
      WARN("skipped: a " << kind << " over a loop device cannot be mounted here");
      return;
    }
    root = must_open(*disk, os::kCwd, mount.path(), O_RDONLY | O_DIRECTORY);
  }
};

void write_text(os::Disk& disk, int fd, const std::string& text) {
  REQUIRE(disk.write_at(fd, 0, std::as_bytes(std::span(text.data(), text.size()))));
}

}  // namespace

TEST_CASE("btrfs: subvolumes, snapshots and their identity") {
  const Mounted at("btrfs", "256M");
  const auto& disk = at.disk;
  const os::Fd& root = at.root;
  if (!root) return;
  CHECK(disk->file_system(root.get())->name == "btrfs");
  REQUIRE(disk->create_subvolume(root.get(), "work"));
  CHECK(disk->create_subvolume(root.get(), "work").error().number == EEXIST);
  CHECK(disk->create_subvolume(root.get(), std::string(300, 'x')).error().number == ENAMETOOLONG);
  const auto work = must_open(*disk, root.get(), "work", O_RDONLY | O_DIRECTORY);
  CHECK(disk->stat(work.get())->st_ino == os::kSubvolumeRootInode);
  write_text(*disk, must_open(*disk, work.get(), "f", O_RDWR | O_CREAT).get(), "before");
  const auto before = disk->subvolume_info(work.get());
  REQUIRE(before);

  REQUIRE(disk->snapshot_subvolume(root.get(), "snap", work.get(), true));
  const auto snap = must_open(*disk, root.get(), "snap", O_RDONLY | O_DIRECTORY);
  const auto info = disk->subvolume_info(snap.get());
  REQUIRE(info);
  CHECK(info->read_only);
  CHECK(info->parent_uuid == before->uuid);
  CHECK(info->uuid != before->uuid);
  CHECK(info->uuid.size() == 32);
  CHECK(info->id != before->id);
  CHECK(disk->open(snap.get(), "g", O_WRONLY | O_CREAT, 0600).error().number == EROFS);
  CHECK(*disk->file_system_id(snap.get()) == *disk->file_system_id(root.get()));

  REQUIRE(disk->set_subvolume_read_only(snap.get(), false));
  CHECK_FALSE(disk->subvolume_info(snap.get())->read_only);
  CHECK(disk->open(snap.get(), "g", O_WRONLY | O_CREAT, 0600));
  REQUIRE(disk->destroy_subvolume(root.get(), "snap"));
  CHECK(disk->stat_at(root.get(), "snap").error().number == ENOENT);
}

TEST_CASE("reflinks and extents, on btrfs and XFS") {
  const std::string kind = GENERATE("btrfs", "xfs");
  const Mounted at(kind, kind == "xfs" ? "320M" : "256M");
  const auto& disk = at.disk;
  const os::Fd& root = at.root;
  if (!root) return;
  CHECK(disk->file_system(root.get())->name == kind);
  CHECK(disk->file_system_id(root.get())->size() == kind.size() + 1 + 32);
  CHECK(disk->file_system_id(root.get())->find_first_not_of('0', kind.size() + 1) !=
        std::string::npos);
  const auto from = must_open(*disk, root.get(), "from", O_RDWR | O_CREAT);
  const auto to = must_open(*disk, root.get(), "to", O_RDWR | O_CREAT);
  write_text(*disk, from.get(), std::string(1 << 20, 'r'));
  REQUIRE(disk->reflink(to.get(), from.get()));
  const auto a = disk->map_extents(from.get(), true);
  const auto b = disk->map_extents(to.get(), true);
  REQUIRE(a);
  REQUIRE(b);
  REQUIRE_FALSE(a->empty());
  REQUIRE(a->size() == b->size());
  std::uint64_t covered = 0;
  for (std::size_t i = 0; i < a->size(); ++i) {
    CHECK((*a)[i].known);
    CHECK((*a)[i].physical == (*b)[i].physical);
    covered += (*a)[i].length;
  }
  CHECK(covered == 1 << 20);
}

TEST_CASE("a file in hundreds of pieces is mapped whole") {
  const Mounted at("xfs", "320M");
  const auto& disk = at.disk;
  const os::Fd& root = at.root;
  if (!root) return;
  const auto file = must_open(*disk, root.get(), "f", O_RDWR | O_CREAT);
  const std::string block(4096, 'b');
  for (std::uint64_t i = 0; i < 700; ++i) {
    REQUIRE(disk->write_at(file.get(), i * 2 * 4096,
                           std::as_bytes(std::span(block.data(), block.size()))));
  }
  const auto extents = disk->map_extents(file.get(), true);
  REQUIRE(extents);
  std::uint64_t covered = 0;
  std::uint64_t last_end = 0;
  for (const auto& extent : *extents) {
    CHECK(extent.logical >= last_end);
    last_end = extent.logical + extent.length;
    if (!extent.unwritten) covered += extent.length;
  }
  CHECK(extents->size() >= 700);
  CHECK(covered == 700 * 4096);
}

TEST_CASE("btrfs tells the directory of every nested subvolume, however many there are") {
  const Mounted at("btrfs", "320M");
  const auto& disk = at.disk;
  const os::Fd& root = at.root;
  if (!root) return;
  CHECK(os::directories_of_nested(root.get())->empty());
  REQUIRE(disk->make_directory(root.get(), "many", 0755));
  REQUIRE(disk->make_directory(root.get(), "many/deep", 0755));
  const auto deep = must_open(*disk, root.get(), "many/deep", O_RDONLY | O_DIRECTORY);
  constexpr int kMany = 300;  // one answer of the kernel holds 255
  for (int i = 0; i < kMany; ++i) {
    REQUIRE(disk->create_subvolume(deep.get(), "s" + std::to_string(i)));
  }
  REQUIRE(disk->create_subvolume(root.get(), "top"));
  auto told = os::directories_of_nested(root.get());
  REQUIRE(told);
  CHECK(std::count(told->begin(), told->end(), "many/deep") == kMany);
  CHECK(std::count(told->begin(), told->end(), "") == 1);
  CHECK(told->size() == kMany + 1);
}

TEST_CASE("btrfs tells the inodes that changed since a snapshot, and the names in a directory") {
  const Mounted at("btrfs", "320M");
  const auto& disk = at.disk;
  const os::Fd& root = at.root;
  if (!root) return;
  REQUIRE(disk->create_subvolume(root.get(), "work"));
  const auto work = must_open(*disk, root.get(), "work", O_RDONLY | O_DIRECTORY);
  REQUIRE(disk->make_directory(work.get(), "d", 0755));
  const auto d = must_open(*disk, work.get(), "d", O_RDONLY | O_DIRECTORY);
  constexpr int kMany = 3000;  // several answers of the kernel
  const std::string long_name(100, 'n');
  for (int i = 0; i < kMany; ++i) {
    must_open(*disk, d.get(), long_name + std::to_string(i), O_RDWR | O_CREAT);
  }
  // One that is deleted and still open has no name in a snapshot.
  const auto deleted = must_open(*disk, work.get(), "deleted", O_RDWR | O_CREAT);
  write_text(*disk, deleted.get(), "still read");
  REQUIRE(disk->unlink(work.get(), "deleted"));
  const auto snapshot = [&](const std::string& name) {
    REQUIRE(disk->snapshot_subvolume(root.get(), name, work.get(), true));
    return must_open(*disk, root.get(), name, O_RDONLY | O_DIRECTORY);
  };
  const auto one = snapshot("one");
  const auto changed = must_open(*disk, d.get(), long_name + "17", O_RDWR);
  write_text(*disk, changed.get(), "other content");
  write_text(*disk, deleted.get(), "and written to");
  const auto two = snapshot("two");
  const auto first = disk->subvolume_info(one.get());
  const auto second = disk->subvolume_info(two.get());
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->made < second->made);
  CHECK(first->changed <= first->made);

  std::vector<std::uint64_t> told;
  os::ChangedInodes inodes(two.get(), first->made);
  while (true) {
    auto next = inodes.next();
    REQUIRE(next);
    if (!*next) break;
    CHECK_FALSE((*next)->directory);
    if ((*next)->links > 0) told.push_back((*next)->number);
  }
  CHECK(told == std::vector<std::uint64_t>{disk->stat(changed.get())->st_ino});

  const auto names_of = [&](std::uint64_t tree, std::uint64_t directory) {
    std::set<std::string> names;
    std::uint64_t before = 0;
    os::DirectoryNames in_order(root.get(), tree, directory);
    while (true) {
      auto next = in_order.next();
      REQUIRE(next);
      if (!*next) return names;
      CHECK((*next)->index > before);
      before = (*next)->index;
      names.insert((*next)->name);
    }
  };
  CHECK(names_of(first->id, disk->stat(d.get())->st_ino).size() == kMany);
  CHECK(names_of(first->id, os::kSubvolumeRootInode) == std::set<std::string>{"d"});
  CHECK(names_of(first->id, 1'000'000).empty());

  // What was changed after it was made is told as such.
  REQUIRE(disk->set_subvolume_read_only(one.get(), false));
  REQUIRE(disk->unlink(one.get(), "d/" + long_name + "5"));
  REQUIRE(disk->syncfs(one.get()));
  const auto spoiled = disk->subvolume_info(one.get());
  REQUIRE(spoiled);
  CHECK(spoiled->changed > spoiled->made);
}
