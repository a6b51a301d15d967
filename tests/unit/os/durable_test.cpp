// Power is lost, and the process dies, between each two steps.
#include "common/os/durable.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/support/faulty_disk.hpp"
#include "tests/support/lossy_disk.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kSeeds = 12;

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return "-";
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// A disk of its own for each try.
struct Machine {
  test::Scratch scratch;
  test::Scratch grave;
  std::unique_ptr<os::Disk> kernel = os::make_kernel_disk();
  test::LossyDisk disk{*kernel, grave.path()};

  void lose_power(std::uint64_t seed) {
    disk.lose_power(seed);
    disk.power_on();
  }
};

}  // namespace

TEST_CASE("a file written durably is old or new after a power loss between any two steps") {
  const std::string old_text = "old";
  const std::string new_text(10'000, 'n');
  std::set<std::string> seen;
  bool finished = false;
  for (std::uint64_t calls = 0; !finished; ++calls) {
    REQUIRE(calls < 50);
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      Machine m;
      REQUIRE(os::write_durably(m.disk, m.scratch / "f", old_text, {}));
      m.disk.power_off_after(calls);
      finished = os::write_durably(m.disk, m.scratch / "f", new_text, {}).has_value();
      m.lose_power(seed);
      const std::string found = content_of(m.scratch / "f");
      CHECK((found == old_text || found == new_text));
      if (finished) CHECK(found == new_text);
      seen.insert(found);
      // What was left does not stand in the way.
      CHECK(os::write_durably(m.disk, m.scratch / "f", "third", {}));
      CHECK(content_of(m.scratch / "f") == "third");
      CHECK_FALSE(fs::exists(m.scratch / "f.part"));
    }
  }
  CHECK(seen.size() == 2);
}

TEST_CASE("a file that must not replace another is whole or not there after a power loss") {
  bool finished = false;
  for (std::uint64_t calls = 0; !finished; ++calls) {
    REQUIRE(calls < 50);
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      Machine m;
      const os::DurableFile options{.mode = 0640, .replace = false};
      m.disk.power_off_after(calls);
      finished = os::write_durably(m.disk, m.scratch / "f", "key", options).has_value();
      m.lose_power(seed);
      const bool there = fs::exists(m.scratch / "f");
      if (finished) REQUIRE(there);
      if (there) {
        CHECK(content_of(m.scratch / "f") == "key");
        CHECK((fs::status(m.scratch / "f").permissions() & fs::perms::mask) == fs::perms(0640));
      }
      auto again = os::write_durably(m.disk, m.scratch / "f", "other", options);
      CHECK(again.has_value() == !there);
      if (there) CHECK(again.error().code == ErrorCode::place_not_empty);
      CHECK_FALSE(fs::exists(m.scratch / "f.part"));
    }
  }
}

TEST_CASE("a file removed durably stays removed, and removing it twice is no error") {
  bool finished = false;
  for (std::uint64_t calls = 0; !finished; ++calls) {
    REQUIRE(calls < 20);
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      Machine m;
      REQUIRE(os::write_durably(m.disk, m.scratch / "f", "old", {}));
      m.disk.power_off_after(calls);
      finished = os::remove_durably(m.disk, m.scratch / "f").has_value();
      m.lose_power(seed);
      const std::string found = content_of(m.scratch / "f");
      CHECK((found == "old" || found == "-"));
      if (finished) CHECK(found == "-");
      CHECK(os::remove_durably(m.disk, m.scratch / "f"));
      CHECK(os::remove_durably(m.disk, m.scratch / "f"));
    }
  }
}

TEST_CASE("the directories on the way to a file that lasts were synced into their parents") {
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    Machine m;
    REQUIRE(os::make_directories(m.disk, m.scratch / "a/b/c"));
    REQUIRE(os::write_durably(m.disk, m.scratch / "a/b/c/f", "kept", {}));
    m.lose_power(seed);
    REQUIRE(content_of(m.scratch / "a/b/c/f") == "kept");
  }
}

TEST_CASE("a directory whose maker died before syncing its name is synced by the next one") {
  bool finished = false;
  for (std::uint64_t calls = 0; !finished; ++calls) {
    REQUIRE(calls < 20);
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      Machine m;
      m.disk.power_off_after(calls);  // the first process ends here, with the machine still on
      finished = os::make_directories(m.disk, m.scratch / "a/b/c").has_value();
      m.disk.power_on();
      REQUIRE(os::make_directories(m.disk, m.scratch / "a/b/c"));
      REQUIRE(os::write_durably(m.disk, m.scratch / "a/b/c/f", "kept", {}));
      m.lose_power(seed);
      REQUIRE(content_of(m.scratch / "a/b/c/f") == "kept");
    }
  }
}

TEST_CASE("modes are those given, whatever the umask; what is there keeps its own") {
  const auto disk = os::make_kernel_disk();
  const test::Scratch scratch;
  const mode_t before = ::umask(0077);
  REQUIRE(os::write_durably(*disk, scratch / "f", "x", {.mode = 0644}));
  ::umask(0);
  REQUIRE(os::make_directories(*disk, scratch / "a/b", 0700, 0755));
  ::umask(before);
  const auto mode = [&](const char* name) {
    return fs::status(scratch / name).permissions() & fs::perms::mask;
  };
  CHECK(mode("f") == fs::perms(0644));
  CHECK(mode("a") == fs::perms(0755));
  CHECK(mode("a/b") == fs::perms(0700));
  REQUIRE(os::make_directories(*disk, scratch / "a", 0700));
  CHECK(mode("a") == fs::perms(0755));
}

TEST_CASE("a link to a directory is a directory on the way; a file on the way is an error") {
  const auto disk = os::make_kernel_disk();
  const test::Scratch scratch;
  REQUIRE(os::make_directories(*disk, scratch / "real"));
  fs::create_symlink("real", scratch / "link");
  REQUIRE(os::make_directories(*disk, scratch / "link"));
  REQUIRE(os::make_directories(*disk, scratch / "link/below"));
  CHECK(fs::is_directory(scratch / "real/below"));
  REQUIRE(os::write_durably(*disk, scratch / "link/f", "x", {}));
  std::ofstream(scratch / "file") << "x";
  const auto refused = os::make_directories(*disk, scratch / "file/below");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::target_write);
  CHECK(refused.error().where == scratch / "file");
}

TEST_CASE("a full disk and a refused last check leave the old file and nothing else") {
  const test::Scratch scratch;
  const auto kernel = os::make_kernel_disk();
  test::FaultyDisk disk(*kernel);
  REQUIRE(os::write_durably(disk, scratch / "f", "old", {}));
  disk.full_after(100);
  CHECK(os::write_durably(disk, scratch / "f", std::string(1000, 'n'), {}).error().code ==
        ErrorCode::no_space);
  disk.free_space();
  const auto refused =
      os::write_durably(disk, scratch / "f", "new", {.last_check = []() -> Result<void> {
                          return make_error(ErrorCode::epoch_old, "as the test wants it");
                        }});
  CHECK(refused.error().code == ErrorCode::epoch_old);
  CHECK(content_of(scratch / "f") == "old");
  CHECK(std::distance(fs::directory_iterator(scratch.path()), {}) == 1);
}
