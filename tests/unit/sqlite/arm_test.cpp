// What arming refuses, before a writer noticed anything.
#include <sys/stat.h>

#include "tests/unit/sqlite/world.hpp"

using namespace lockstep;
using namespace lockstep::sqlite_test;

namespace {

Error refusal(World& world, const component::DataSet& set) {
  auto armed = world.snapshots().arm(run_named("run"), set, {});
  REQUIRE_FALSE(armed.has_value());
  CHECK_FALSE(good(world.snapshots().find(run_named("run"), set)).has_value());
  return armed.error();
}

}  // namespace

TEST_CASE("a place that is no database is refused by name") {
  test::Scratch scratch;
  World world;
  const std::string path = scratch / "ledger.db";

  SECTION("nothing there") { CHECK(refusal(world, set_at(path)).code == ErrorCode::set_missing); }
  SECTION("not absolute") {
    CHECK(refusal(world, set_at("ledger.db")).code == ErrorCode::set_missing);
  }
  SECTION("text") {
    std::ofstream(path) << std::string(5000, 'x');
    CHECK(refusal(world, set_at(path)).code == ErrorCode::sqlite_not_a_database);
  }
  SECTION("a short file") {
    std::ofstream(path) << "short";
    CHECK(refusal(world, set_at(path)).code == ErrorCode::sqlite_not_a_database);
  }
  SECTION("a directory") {
    std::filesystem::create_directory(path);
    CHECK(refusal(world, set_at(path)).code == ErrorCode::not_supported);
  }
  SECTION("a symbolic link") {
    make_ledger(scratch / "real.db", "wal", 10);
    std::filesystem::create_symlink(scratch / "real.db", path);
    CHECK(refusal(world, set_at(path)).code == ErrorCode::not_supported);
  }
  SECTION("in a store") {
    CHECK(refusal(world, set_at(scratch / ".lockstep/pins/x.db")).code ==
          ErrorCode::target_overlaps);
  }
  SECTION("a path that is not UTF-8") {
    CHECK(refusal(world, set_at(scratch / "a\xff.db")).code == ErrorCode::not_supported);
  }
}

TEST_CASE("an empty file is an empty database") {
  test::Scratch scratch;
  World world;
  const std::string path = scratch / "ledger.db";
  std::ofstream(path).close();
  auto set = set_at(path);
  set.allow_writer_stall = true;
  const auto armed = good(world.snapshots().arm(run_named("run"), set, {}));
  good(armed->raise_fence(seconds(1)));
  good(armed->pin());
  CHECK(good(armed->lower_fence()).held);
  auto copy = open_version(good(armed->settle(run_named("run"))));
  CHECK(good(copy.number("SELECT count(*) FROM sqlite_schema")) == 0);
}

TEST_CASE("a database that a process holds exclusively is refused") {
  const auto journal = GENERATE(as<std::string>{}, "wal", "delete");
  test::Scratch scratch;
  World world;
  const std::string path = scratch / "ledger.db";
  make_ledger(path, journal, 10);
  auto owner = good(sqlite::Database::open(path, sqlite::Opening::own, ErrorCode::source_read));
  good(owner.text("PRAGMA locking_mode = EXCLUSIVE"));
  good(owner.run("BEGIN EXCLUSIVE; UPDATE counter SET n = 1; COMMIT"));
  auto set = set_at(path);
  set.allow_writer_stall = true;
  const Error error = refusal(world, set);
  CHECK(error.code == ErrorCode::sqlite_busy);
  CHECK(error.what.find("exclusively") != std::string::npos);
}

TEST_CASE("a rollback journal without reflinks needs allow_writer_stall") {
  const test::LoopMount place("ext4", "64M");
  if (!place.mounted()) {
    WARN("SKIPPED: cannot mount here (needs root)");
    return;
  }
  World world;
  auto set = set_at(place.path() + "/ledger.db");
  make_ledger(set.place.location, "delete", 100);
  const Error error = refusal(world, set);
  CHECK(error.code == ErrorCode::not_supported);
  CHECK(std::string(error.advice()).find("allow_writer_stall") != std::string::npos);
  CHECK(std::string(error.advice()).find("WAL") != std::string::npos);
  set.allow_writer_stall = true;
  CHECK(good(world.snapshots().arm(run_named("run"), set, {}))->estimate().method ==
        "sqlite-read-transaction");
}

TEST_CASE("a fence too short for the clone is refused") {
  const test::LoopMount place("btrfs", "256M");
  if (!place.mounted()) {
    WARN("SKIPPED: cannot mount here (needs root)");
    return;
  }
  World world;
  auto set = set_at(place.path() + "/ledger.db");
  make_ledger(set.place.location, "wal", 100);
  set.fence_timeout = milliseconds(1);
  CHECK(refusal(world, set).code == ErrorCode::fence_too_long);
}

TEST_CASE("a file that may not be cloned on btrfs is read out instead") {
  const test::LoopMount place("btrfs", "256M");
  if (!place.mounted()) {
    WARN("SKIPPED: cannot mount here (needs root)");
    return;
  }
  World world;
  // No copy on write for what is made in this directory; the store beside it is made before.
  std::filesystem::create_directory(place.path() + "/.lockstep");
  REQUIRE(::system(("chattr +C '" + place.path() + "'").c_str()) == 0);
  auto set = set_at(place.path() + "/ledger.db");
  make_ledger(set.place.location, "wal", 100);
  const auto armed = good(world.snapshots().arm(run_named("run"), set, {}));
  CHECK(armed->estimate().method == "sqlite-read-transaction");
  good(armed->pin());
  auto copy = open_version(good(armed->settle(run_named("run"))));
  CHECK(good(copy.text("PRAGMA integrity_check")) == "ok");
}

TEST_CASE("a database that goes between arm and pin fails the pin and leaves nothing") {
  const auto how = GENERATE(as<std::string>{}, "gone", "replaced");
  const auto kind = GENERATE(as<std::string>{}, "btrfs", "ext4");
  const test::LoopMount place(kind, "256M");
  if (!place.mounted()) {
    WARN("SKIPPED: cannot mount here (needs root)");
    return;
  }
  World world;
  const std::string path = place.path() + "/ledger.db";
  make_ledger(path, "wal", 100);
  const auto context = run_named("run");
  const auto armed = good(world.snapshots().arm(context, set_at(path), {}));
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path + end);
  if (how == "replaced") make_ledger(path, "wal", 10);
  const auto pinned = armed->pin();
  REQUIRE_FALSE(pinned.has_value());
  CHECK(pinned.error().code == ErrorCode::pin_failed);
  const auto raised = armed->raise_fence(seconds(1));
  REQUIRE_FALSE(raised.has_value());
  CHECK_FALSE(good(world.snapshots().find(context, set_at(path))).has_value());
}

TEST_CASE("without rights the reason is permission") {
  if (::geteuid() != 0) {
    WARN("SKIPPED: needs root, to become somebody else");
    return;
  }
  test::Scratch scratch;
  const std::string path = scratch / "ledger.db";
  make_ledger(path, "wal", 10);
  std::filesystem::permissions(scratch.path(), std::filesystem::perms(0755));
  const auto modes = GENERATE(0600, 0644);
  ::chmod(path.c_str(), static_cast<mode_t>(modes));
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::setegid(65534) != 0 || ::seteuid(65534) != 0) ::_exit(9);
    World world;
    auto armed = world.snapshots().arm(run_named("run"), set_at(path), {});
    ::_exit(armed ? 8 : armed.error().code == ErrorCode::permission ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("health opens the database and leaves nothing beside it") {
  test::Scratch scratch;
  World world;
  const std::string path = scratch / "ledger.db";
  make_ledger(path, "wal", 10);
  CHECK(world.sqlite->health(set_at(path)).good);
  CHECK(names_in(scratch.path()) == std::vector<std::string>{"ledger.db"});
  CHECK_FALSE(world.sqlite->health(set_at(scratch / "none.db")).good);
}
