#include "tests/support/lossy_disk.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/support/scratch.hpp"

using namespace lockstep;
using namespace lockstep::test;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kSeeds = 64;

std::span<const std::byte> bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// A fresh disk for every seed.
struct Machine {
  Scratch scratch;
  std::unique_ptr<os::Disk> kernel = os::make_kernel_disk();
  std::string root = made(scratch / "root");
  LossyDisk disk{*kernel, made(scratch / "grave")};
  Fd directory = opened(root, O_RDONLY | O_DIRECTORY);
  int at() const { return directory.get(); }

  static std::string made(const std::string& path) {
    fs::create_directory(path);
    return path;
  }
  Fd opened(const std::string& path, int flags) {
    auto fd = disk.open(os::kCwd, path, flags, 0644);
    REQUIRE(fd);
    return std::move(*fd);
  }
  void write(const std::string& name, const std::string& text, bool sync) {
    auto fd = disk.open(at(), name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    REQUIRE(fd);
    REQUIRE(disk.write_at(fd->get(), 0, bytes(text)));
    if (sync) REQUIRE(disk.fsync(fd->get()));
  }
  // The name's content, or "-" where it is not there.
  std::string content(const std::string& name) {
    std::ifstream file(root + "/" + name, std::ios::binary);
    if (!file) return "-";
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
};

}  // namespace

TEST_CASE("what was synced, name and data, stays whatever the seed") {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Machine m;
    m.write("f", "kept", true);
    REQUIRE(m.disk.make_directory(m.at(), "d", 0750));
    REQUIRE(m.disk.fsync(m.at()));
    m.disk.lose_power(seed);
    CHECK(m.content("f") == "kept");
    CHECK(fs::is_directory(m.root + "/d"));
    CHECK(m.disk.open(m.at(), "f", O_RDONLY, 0).error().number == EIO);
    m.disk.power_on();
    CHECK(m.disk.open(m.at(), "f", O_RDONLY, 0));
  }
}

TEST_CASE("write, fsync, rename without syncing the directory: old or new, never between") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Machine m;
    m.write("f", "old", true);
    REQUIRE(m.disk.fsync(m.at()));
    m.write("f.part", "new", true);
    REQUIRE(m.disk.rename(m.at(), "f.part", m.at(), "f", true));
    CHECK(m.content("f") == "new");
    m.disk.lose_power(seed);
    seen.insert(m.content("f") + "/" + m.content("f.part"));
  }
  // f.part itself was never synced as a name, so that with the rename it may be gone as well.
  CHECK(seen == std::set<std::string>{"new/-", "old/-", "old/new"});
}

TEST_CASE("a rename without fsync of the data shows the classic empty or torn file") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Machine m;
    m.write("f", "old", true);
    REQUIRE(m.disk.fsync(m.at()));
    m.write("f.part", "new", false);
    REQUIRE(m.disk.rename(m.at(), "f.part", m.at(), "f", true));
    REQUIRE(m.disk.fsync(m.at()));
    m.disk.lose_power(seed);
    seen.insert(m.content("f"));
  }
  CHECK(seen.contains(""));
  CHECK(seen.contains(std::string(3, '\0')));
  CHECK(seen.contains("new"));
  CHECK_FALSE(seen.contains("old"));
}

TEST_CASE("pages are lost one by one, and only those written since the sync") {
  std::set<std::string> seen;
  const std::string a(4096, 'a');
  const std::string b(4096, 'b');
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Machine m;
    m.write("f", a + a, true);
    REQUIRE(m.disk.fsync(m.at()));
    const auto fd = m.opened(m.root + "/f", O_RDWR);
    REQUIRE(m.disk.write_at(fd.get(), 0, bytes(b + b)));
    m.disk.lose_power(seed);
    seen.insert(m.content("f"));
  }
  CHECK(seen == std::set<std::string>{a + a, a + b, b + a, b + b});
}

TEST_CASE("fdatasync keeps the data; syncfs keeps all") {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Machine m;
    m.write("f", "old", true);
    REQUIRE(m.disk.fsync(m.at()));
    {
      const auto fd = m.opened(m.root + "/f", O_RDWR);
      REQUIRE(m.disk.write_at(fd.get(), 0, bytes("new")));
      REQUIRE(m.disk.fdatasync(fd.get()));
    }
    m.write("g", "never synced by itself", false);
    REQUIRE(m.disk.make_directory(m.at(), "d", 0700));
    m.write("d/h", "inside", false);
    if (seed % 2 == 0) REQUIRE(m.disk.syncfs(m.at()));
    m.disk.lose_power(seed);
    CHECK(m.content("f") == "new");
    if (seed % 2 == 0) {
      CHECK(m.content("g") == "never synced by itself");
      CHECK(m.content("d/h") == "inside");
    }
  }
}

TEST_CASE("removals come back, and what lay in a directory that was never made is gone with it") {
  std::set<std::string> removed;
  std::set<bool> inside;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Machine m;
    m.write("f", "precious", true);
    REQUIRE(m.disk.fsync(m.at()));
    REQUIRE(m.disk.unlink(m.at(), "f"));
    CHECK(m.content("f") == "-");
    REQUIRE(m.disk.make_directory(m.at(), "d", 0700));
    m.write("d/x", "x", true);
    m.disk.lose_power(seed);
    removed.insert(m.content("f"));
    const bool there = fs::exists(m.root + "/d");
    if (!there) CHECK(m.content("d/x") == "-");
    inside.insert(there && m.content("d/x") == "x");
  }
  CHECK(removed == std::set<std::string>{"-", "precious"});
  CHECK(inside == std::set<bool>{true, false});
}

TEST_CASE("mode, owner, times and attributes are all old or all new") {
  std::set<mode_t> seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Machine m;
    m.write("f", "x", true);
    REQUIRE(m.disk.fsync(m.at()));
    const auto fd = m.opened(m.root + "/f", O_RDWR);
    REQUIRE(m.disk.set_times(fd.get(), {1'000}));
    REQUIRE(m.disk.fsync(fd.get()));
    REQUIRE(m.disk.change_mode(fd.get(), 0600));
    REQUIRE(m.disk.set_xattr(fd.get(), "user.x", "1"));
    REQUIRE(m.disk.set_times(fd.get(), {2'000}));
    m.disk.lose_power(seed);
    const auto info = m.kernel->stat(fd.get());
    const bool fresh = (info->st_mode & 0777) == 0600;
    CHECK(info->st_mtim.tv_nsec == (fresh ? 2'000 : 1'000));
    CHECK(m.kernel->get_xattr(fd.get(), "user.x").has_value() == fresh);
    seen.insert(info->st_mode & 0777);
  }
  CHECK(seen == std::set<mode_t>{0600, 0644});
}

TEST_CASE("the power goes at the call that was asked for") {
  Machine m;
  const auto before = m.disk.calls();
  m.write("f", "x", true);  // three calls: made, written, synced
  CHECK(m.disk.calls() == before + 3);
  m.disk.power_off_after(1);
  auto fd = m.disk.open(m.at(), "g", O_RDWR | O_CREAT, 0644);
  REQUIRE(fd);
  CHECK(m.disk.write_at(fd->get(), 0, bytes("y")).error().number == EIO);
  CHECK(m.disk.off());
  CHECK(m.disk.fsync(fd->get()).error().number == EIO);
  m.disk.lose_power(1);
  m.disk.power_on();
  CHECK(m.disk.open(m.at(), "f2", O_RDWR | O_CREAT, 0644));
}

TEST_CASE("one seed means one thing") {
  const auto outcome = [](std::uint64_t seed) {
    Machine m;
    for (int i = 0; i < 20; ++i) m.write("f" + std::to_string(i), std::string(9000, 'x'), i % 2);
    m.disk.lose_power(seed);
    std::string all;
    for (int i = 0; i < 20; ++i) all += m.content("f" + std::to_string(i)) + "|";
    return all;
  };
  CHECK(outcome(7) == outcome(7));
  CHECK(outcome(7) != outcome(8));
}
