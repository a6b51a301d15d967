// The fence is SQLite's write lock: it holds, it ends, and it is not lost unnoticed.
#include <fcntl.h>

#include "common/os/apart.hpp"
#include "tests/unit/sqlite/world.hpp"

using namespace lockstep;
using namespace lockstep::sqlite_test;

namespace {

// Whether another process gets the write lock within 100 ms.
bool others_can_write(const std::string& path) {
  return ::system(("sqlite3 -cmd '.timeout 100' '" + path +
                   "' 'BEGIN IMMEDIATE; UPDATE counter SET n = n; COMMIT' >/dev/null 2>&1")
                      .c_str()) == 0;
}

}  // namespace

TEST_CASE("the fence holds other processes and ends") {
  const auto journal = GENERATE(as<std::string>{}, "wal", "delete");
  test::Scratch scratch;
  World world;
  const std::string path = scratch / "ledger.db";
  make_ledger(path, journal, 100);
  auto set = set_at(path);
  set.allow_writer_stall = true;
  const auto armed = good(world.snapshots().arm(run_named("run"), set, {}));
  CHECK(others_can_write(path));
  good(armed->raise_fence(seconds(1)));
  CHECK_FALSE(others_can_write(path));
  CHECK(good(armed->lower_fence()).held);
  CHECK(others_can_write(path));

  SECTION("and may be raised again") {
    good(armed->raise_fence(seconds(1)));
    CHECK_FALSE(others_can_write(path));
    CHECK_FALSE(armed->raise_fence(seconds(1)).has_value());
    CHECK(good(armed->lower_fence()).held);
  }
  SECTION("lowered without having been raised it was not held") {
    CHECK_FALSE(good(armed->lower_fence()).held);
  }
}

TEST_CASE("a fence falls by its time-out, and says so") {
  test::Scratch scratch;
  World world;
  const std::string path = scratch / "ledger.db";
  make_ledger(path, "wal", 100);
  auto set = set_at(path);
  set.fence_timeout = milliseconds(200);
  const auto armed = good(world.snapshots().arm(run_named("run"), set, {}));
  good(armed->raise_fence(seconds(1)));
  CHECK_FALSE(others_can_write(path));
  ::usleep(250'000);
  CHECK(others_can_write(path));
  const auto pinned = armed->pin();
  REQUIRE_FALSE(pinned.has_value());
  CHECK(pinned.error().code == ErrorCode::pin_failed);
  const auto end = good(armed->lower_fence());
  CHECK_FALSE(end.held);
  CHECK(end.detail.find("time-out") != std::string::npos);
  CHECK_FALSE(good(world.snapshots().find(run_named("run"), set)).has_value());
}

TEST_CASE("a fence falls when what is armed goes") {
  test::Scratch scratch;
  World world;
  const std::string path = scratch / "ledger.db";
  make_ledger(path, "wal", 100);
  {
    const auto armed = good(world.snapshots().arm(run_named("run"), set_at(path), {}));
    good(armed->raise_fence(seconds(1)));
    CHECK_FALSE(others_can_write(path));
  }
  CHECK(others_can_write(path));
}

TEST_CASE("raising gives up in time") {
  test::Scratch scratch;
  World world;
  const std::string path = scratch / "ledger.db";
  make_ledger(path, "wal", 100);
  const auto armed = good(world.snapshots().arm(run_named("run"), set_at(path), {}));
  auto other = open_database(path);
  good(other.run("BEGIN IMMEDIATE"));
  const auto begin = world.clock->mono();
  const auto raised = armed->raise_fence(milliseconds(150));
  const auto took = world.clock->mono() - begin;
  REQUIRE_FALSE(raised.has_value());
  CHECK(raised.error().code == ErrorCode::sqlite_busy);
  CHECK(took >= milliseconds(150));
  CHECK(took < seconds(2));
  good(other.run("ROLLBACK"));
  good(armed->raise_fence(seconds(1)));
}

// Why run_apart exists: the counter-proof shows that these tests would see a dropped lock.
TEST_CASE("what is opened apart does not drop the lock, what is opened plainly does") {
  const auto journal = GENERATE(as<std::string>{}, "wal", "delete");
  test::Scratch scratch;
  World world;
  const std::string path = scratch / "ledger.db";
  make_ledger(path, journal, 100);
  auto set = set_at(path);
  set.allow_writer_stall = true;
  const std::string locked = journal == "wal" ? path + "-shm" : path;
  const auto armed = good(world.snapshots().arm(run_named("run"), set, {}));
  good(armed->raise_fence(seconds(3)));

  for (int i = 0; i < 20; ++i) {
    REQUIRE(os::run_apart([&] {
              auto file = world.disk.open(os::kCwd, locked, O_RDONLY);
              CHECK(file.has_value());
              auto database = world.disk.open(os::kCwd, path, O_RDONLY);
              CHECK(database.has_value());
            }).has_value());
  }
  CHECK_FALSE(others_can_write(path));

  SECTION("kept") { CHECK(good(armed->lower_fence()).held); }
  SECTION("dropped, and noticed") {
    { const auto file = world.disk.open(os::kCwd, locked, O_RDONLY); }
    CHECK(others_can_write(path));
    const auto end = good(armed->lower_fence());
    CHECK_FALSE(end.held);
    CHECK(end.detail.find("kernel") != std::string::npos);
  }
}

TEST_CASE("a database that is replaced while fenced was not held") {
  test::Scratch scratch;
  World world;
  const std::string path = scratch / "ledger.db";
  make_ledger(path, "wal", 100);
  const auto armed = good(world.snapshots().arm(run_named("run"), set_at(path), {}));
  good(armed->raise_fence(seconds(1)));
  std::filesystem::rename(path, scratch / "elsewhere.db");
  const auto pinned = armed->pin();
  REQUIRE_FALSE(pinned.has_value());
  CHECK(pinned.error().code == ErrorCode::pin_failed);
  CHECK_FALSE(good(armed->lower_fence()).held);
}
