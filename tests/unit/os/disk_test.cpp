#include "common/os/disk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>

#include "tests/support/scratch.hpp"

using namespace lockstep;
using lockstep::test::Scratch;

namespace {

std::span<const std::byte> bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

os::Fd must_open(os::Disk& disk, int directory, const std::string& path, int flags,
                 mode_t mode = 0644) {
  auto fd = disk.open(directory, path, flags, mode);
  REQUIRE(fd);
  return std::move(*fd);
}

std::string content(os::Disk& disk, int fd) {
  std::string out(4096, '\0');
  auto got = disk.read_at(fd, 0, std::as_writable_bytes(std::span(out.data(), out.size())));
  REQUIRE(got);
  out.resize(*got);
  return out;
}

struct Place {
  std::unique_ptr<os::Disk> disk = os::make_kernel_disk();
  Scratch scratch;
  os::Fd directory = must_open(*disk, os::kCwd, scratch.path(), O_RDONLY | O_DIRECTORY);
  int at() const { return directory.get(); }
};

}  // namespace

TEST_CASE("content: written, read, cut, short at the end of the file") {
  Place place;
  auto& disk = *place.disk;
  const auto file = must_open(disk, place.at(), "f", O_RDWR | O_CREAT);
  REQUIRE(disk.write_at(file.get(), 3, bytes("hello")));
  CHECK(content(disk, file.get()) == std::string("\0\0\0hello", 8));
  REQUIRE(disk.truncate(file.get(), 5));
  CHECK(content(disk, file.get()) == std::string("\0\0\0he", 5));
  CHECK(disk.fsync(file.get()));
  CHECK(disk.fdatasync(file.get()));
  CHECK(disk.syncfs(file.get()));
}

TEST_CASE("symbolic links are not followed") {
  Place place;
  auto& disk = *place.disk;
  REQUIRE(disk.symlink("/etc/passwd", place.at(), "link"));
  CHECK(disk.open(place.at(), "link", O_RDONLY).error().number == ELOOP);
  CHECK(*disk.read_link(place.at(), "link") == "/etc/passwd");
  CHECK(S_ISLNK(disk.stat_at(place.at(), "link")->st_mode));
  const std::string far(900, 'x');
  REQUIRE(disk.symlink(far, place.at(), "long"));
  CHECK(*disk.read_link(place.at(), "long") == far);
}

TEST_CASE("open_beneath does not leave the directory") {
  Place place;
  auto& disk = *place.disk;
  REQUIRE(disk.make_directory(place.at(), "in", 0755));
  REQUIRE(disk.symlink("/etc", place.at(), "in/out"));
  const auto made = disk.open_beneath(place.at(), "in/f", O_WRONLY | O_CREAT | O_EXCL, 0640);
  REQUIRE(made);
  CHECK((disk.stat(made->get())->st_mode & 0777) == 0640);
  CHECK_FALSE(disk.open_beneath(place.at(), "in/out/passwd", O_RDONLY));
  CHECK(disk.open_beneath(place.at(), "../x", O_RDONLY).error().number == EXDEV);
  CHECK(disk.open_beneath(place.at(), "/etc/passwd", O_RDONLY).error().number == EXDEV);
}

TEST_CASE("a directory is read whole, twice at once") {
  Place place;
  auto& disk = *place.disk;
  for (int i = 0; i < 500; ++i) {
    (void)must_open(disk, place.at(), "f" + std::to_string(i), O_WRONLY | O_CREAT);
  }
  auto one = disk.read_directory(place.at());
  auto two = disk.read_directory(place.at());
  REQUIRE(one);
  REQUIRE(two);
  for (auto* stream : {one->get(), two->get()}) {
    std::vector<std::string> names;
    for (;;) {
      auto entry = stream->next();
      REQUIRE(entry);
      if (!*entry) break;
      CHECK((*entry)->type == DT_REG);
      names.push_back((*entry)->name);
    }
    CHECK(names.size() == 500);
    std::sort(names.begin(), names.end());
    CHECK(std::unique(names.begin(), names.end()) == names.end());
  }
}

TEST_CASE("names: rename, not over another, exchange, link, node, remove") {
  Place place;
  auto& disk = *place.disk;
  const auto a = must_open(disk, place.at(), "a", O_RDWR | O_CREAT);
  const auto b = must_open(disk, place.at(), "b", O_RDWR | O_CREAT);
  REQUIRE(disk.write_at(a.get(), 0, bytes("A")));
  REQUIRE(disk.write_at(b.get(), 0, bytes("B")));
  CHECK(disk.rename(place.at(), "a", place.at(), "b", false).error().number == EEXIST);
  REQUIRE(disk.exchange(place.at(), "a", place.at(), "b"));
  CHECK(content(disk, must_open(disk, place.at(), "a", O_RDONLY).get()) == "B");
  REQUIRE(disk.rename(place.at(), "a", place.at(), "b"));
  CHECK(disk.stat_at(place.at(), "a").error().number == ENOENT);
  REQUIRE(disk.link(place.at(), "b", place.at(), "c"));
  CHECK(disk.stat_at(place.at(), "c")->st_nlink == 2);
  REQUIRE(disk.make_node(place.at(), "pipe", S_IFIFO | 0600, 0));
  CHECK(S_ISFIFO(disk.stat_at(place.at(), "pipe")->st_mode));
  REQUIRE(disk.unlink(place.at(), "c"));
  REQUIRE(disk.make_directory(place.at(), "d", 0700));
  REQUIRE(disk.remove_directory(place.at(), "d"));
  CHECK(disk.unlink(place.at(), "d").error().number == ENOENT);
}

TEST_CASE("metadata: mode, owner, times before 1970 too, extended attributes") {
  Place place;
  auto& disk = *place.disk;
  const auto file = must_open(disk, place.at(), "f", O_RDWR | O_CREAT);
  REQUIRE(disk.change_mode(file.get(), 0604));
  CHECK((disk.stat(file.get())->st_mode & 07777) == 0604);
  REQUIRE(disk.change_mode_at(place.at(), "f", 0640));
  CHECK((disk.stat(file.get())->st_mode & 07777) == 0640);
  for (const std::int64_t time : {1'795'000'000'123'456'789LL, -1'500'000'001LL}) {
    REQUIRE(disk.set_times(file.get(), {time}));
    auto info = disk.stat(file.get());
    CHECK(info->st_mtim.tv_sec * 1'000'000'000LL + info->st_mtim.tv_nsec == time);
  }
  REQUIRE(disk.symlink("x", place.at(), "link"));
  REQUIRE(disk.set_times_at(place.at(), "link", {5'000'000'001}));
  CHECK(disk.stat_at(place.at(), "link")->st_mtim.tv_nsec == 1);

  REQUIRE(disk.set_xattr(file.get(), "user.one", "1"));
  REQUIRE(disk.set_xattr_at(place.at(), "f", "user.two", std::string_view("a\0b", 3)));
  auto names = disk.list_xattrs(file.get());
  REQUIRE(names);
  std::sort(names->begin(), names->end());
  names->erase(std::remove_if(names->begin(), names->end(),
                              [](const auto& name) { return !name.starts_with("user."); }),
               names->end());
  CHECK(*names == std::vector<std::string>{"user.one", "user.two"});
  CHECK(disk.list_xattrs_at(place.at(), "f")->size() >= 2);
  CHECK(*disk.get_xattr(file.get(), "user.two") == std::string("a\0b", 3));
  CHECK(*disk.get_xattr_at(place.at(), "f", "user.one") == "1");
  REQUIRE(disk.remove_xattr(file.get(), "user.one"));
  CHECK(disk.get_xattr(file.get(), "user.one").error().number == ENODATA);
  if (::geteuid() == 0) {
    REQUIRE(disk.change_owner(file.get(), 12, 34));
    CHECK(disk.stat(file.get())->st_gid == 34);
    REQUIRE(disk.change_owner_at(place.at(), "link", 56, 78));
    CHECK(disk.stat_at(place.at(), "link")->st_uid == 56);
  } else {
    WARN("skipped: only root may change owners");
  }
}

TEST_CASE("holes are found and made") {
  Place place;
  auto& disk = *place.disk;
  const auto file = must_open(disk, place.at(), "f", O_RDWR | O_CREAT);
  const std::string block(65536, 'x');
  REQUIRE(disk.write_at(file.get(), 1 << 20, bytes(block)));
  REQUIRE(disk.truncate(file.get(), 4 << 20));
  CHECK(*disk.seek_data(file.get(), 0) == std::optional<std::uint64_t>(1 << 20));
  CHECK(*disk.seek_hole(file.get(), 1 << 20) == std::optional<std::uint64_t>((1 << 20) + 65536));
  CHECK(*disk.seek_data(file.get(), 2 << 20) == std::nullopt);
  REQUIRE(disk.punch_hole(file.get(), 1 << 20, 65536));
  CHECK(*disk.seek_data(file.get(), 0) == std::nullopt);
  CHECK(disk.stat(file.get())->st_size == 4 << 20);
}

TEST_CASE("copy_range copies within the kernel") {
  Place place;
  auto& disk = *place.disk;
  const auto from = must_open(disk, place.at(), "from", O_RDWR | O_CREAT);
  const auto to = must_open(disk, place.at(), "to", O_RDWR | O_CREAT);
  REQUIRE(disk.write_at(from.get(), 0, bytes("0123456789")));
  CHECK(*disk.copy_range(from.get(), 2, to.get(), 0, 5) == 5);
  CHECK(content(disk, to.get()) == "23456");
}

TEST_CASE("the file system says what it is and what is free") {
  Place place;
  auto& disk = *place.disk;
  auto info = disk.file_system(place.at());
  REQUIRE(info);
  CHECK_FALSE(info->name.empty());
  CHECK_FALSE(info->read_only);
  auto space = disk.space(place.at());
  REQUIRE(space);
  CHECK(space->total_bytes > 0);
  CHECK(space->free_bytes <= space->total_bytes);
  CHECK_FALSE(disk.file_system_id(place.at())->empty());
  CHECK(disk.subvolume_info(must_open(disk, os::kCwd, "/proc", O_RDONLY | O_DIRECTORY).get())
            .error()
            .number == ENOTTY);
}
