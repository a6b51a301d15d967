// Failing surroundings: disks that are full or cannot be read, and death in every phase.
#include "common/components/sqlite/armed.hpp"
#include "tests/support/faulty_disk.hpp"
#include "tests/unit/sqlite/transfer.hpp"

using namespace lockstep;
using namespace lockstep::sqlite_test;
using component::Version;

namespace {

// Takes all but `leave` bytes of a file system.
void fill(const std::string& directory, std::uint64_t leave) {
  const auto space = std::filesystem::space(directory);
  REQUIRE(space.available > leave);
  const std::string file = directory + "/filler";
  REQUIRE(::system(("fallocate -l " + std::to_string(space.available - leave) + " '" + file + "'")
                       .c_str()) == 0);
}

bool can_mount(const test::LoopMount& place) {
  if (!place.mounted()) WARN("SKIPPED: cannot mount here (needs root)");
  return place.mounted();
}

// What a pin would need a store for, looked at after something failed.
void nothing_left(World& world, const component::DataSet& set) {
  CHECK(good(world.snapshots().list(set)).empty());
  CHECK(good(world.target().list(set)).empty());
}

// Runs the pinner to its death at the failpoint; true where it met it.
bool die_at(World& world, const std::string& failpoint, std::vector<std::string> argv) {
  os::Command command;
  command.argv = std::move(argv);
  command.argv.insert(command.argv.begin(), SQLITE_PINNER);
  command.environment["LOCKSTEP_FAILPOINT"] = failpoint;
  const auto finished = good(world.processes->run(command, seconds(30), {}));
  INFO(finished.output);
  CHECK((finished.exit_status == 0 || finished.exit_status == 128 + SIGKILL));
  return finished.exit_status == 128 + SIGKILL;
}

// To 40 MB: a reader stands in the way of checkpoints.
void grow_wal(const std::string& database) {
  auto writer = open_database(database);
  auto reader = open_database(database);
  good(reader.run("BEGIN"));
  good(reader.number("SELECT count(*) FROM entry"));  // of what it sees nothing is written over
  for (int i = 0; std::filesystem::file_size(database + "-wal") < 40'000'000; ++i)
    good(writer.run("UPDATE entry SET text = hex(randomblob(300)), writer = " + std::to_string(i)));
  good(reader.run("COMMIT"));
}

}  // namespace

TEST_CASE("no room to copy out: refused at arm") {
  const test::LoopMount place("ext4", "32M");
  if (!can_mount(place)) return;
  World world;
  const auto set = set_at(place.path() + "/ledger.db");
  make_ledger(set.place.location, "wal", 8000);
  fill(place.path(), 4'000'000);
  const auto armed = world.snapshots().arm(run_named("run"), set, {});
  REQUIRE_FALSE(armed.has_value());
  CHECK(armed.error().code == ErrorCode::no_space);
  nothing_left(world, set);
}

TEST_CASE("a WAL that once grew needs no more room than itself and the database") {
  const test::LoopMount place("xfs", "400M");
  if (!can_mount(place)) return;
  World world;
  const auto set = set_at(place.path() + "/ledger.db");
  make_ledger(set.place.location, "wal", 200);
  grow_wal(set.place.location);
  fill(place.path(), 60'000'000);
  CHECK(good(world.snapshots().arm(run_named("look"), set, {}))->estimate().method ==
        sqlite::kByReflink);
  pin_now(world, set, "run");
}

TEST_CASE("a WAL that once grew needs no room where the database is copied out") {
  const test::LoopMount place("ext4", "128M");
  if (!can_mount(place)) return;
  World world;
  const auto set = set_at(place.path() + "/ledger.db");
  make_ledger(set.place.location, "wal", 200);
  grow_wal(set.place.location);
  fill(place.path(), 20'000'000);
  CHECK(good(world.snapshots().arm(run_named("look"), set, {}))->estimate().method ==
        sqlite::kByReading);
  pin_now(world, set, "run");
}

TEST_CASE("the disk fills up while a pin is copied out: no-space, and nothing is left") {
  const test::LoopMount place("ext4", "48M");
  if (!can_mount(place)) return;
  World world;
  const auto set = set_at(place.path() + "/ledger.db");
  make_ledger(set.place.location, "wal", 8000);
  const auto armed = good(world.snapshots().arm(run_named("run"), set, {}));
  good(armed->pin());
  fill(place.path(), 2'000'000);
  const auto settled = armed->settle(run_named("run"));
  REQUIRE_FALSE(settled.has_value());
  CHECK(settled.error().code == ErrorCode::no_space);
  nothing_left(world, set);
  std::filesystem::remove(place.path() + "/filler");
  pin_now(world, set, "run-2");  // the next run works
}

TEST_CASE("the disk fills up while a clone is settled: no-space, and nothing is left") {
  const test::LoopMount place("xfs", "400M");
  if (!can_mount(place)) return;
  World world;
  const auto set = set_at(place.path() + "/ledger.db");
  make_ledger(set.place.location, "wal", 20'000);
  {
    // A WAL that rewrites all pages: shared blocks have to be copied to write it back.
    auto database = open_database(set.place.location);
    good(database.run(
        "PRAGMA wal_autocheckpoint = 0; UPDATE entry SET text = hex(randomblob(300))"));
    const auto armed = good(world.snapshots().arm(run_named("run"), set, {}));
    good(armed->pin());
    fill(place.path(), 1'000'000);
    const auto settled = armed->settle(run_named("run"));
    REQUIRE_FALSE(settled.has_value());
    CHECK(settled.error().code == ErrorCode::no_space);
    nothing_left(world, set);
    std::filesystem::remove(place.path() + "/filler");
    pin_now(world, set, "run-2");
  }
}

TEST_CASE("a full target and a broken source are told apart, and nothing partial is kept") {
  test::Scratch scratch;
  const auto kernel = os::make_kernel_disk();
  test::FaultyDisk disk(*kernel);
  World source_world;
  World world(&disk);
  std::filesystem::create_directories(scratch / "north");
  const auto set = set_at(scratch / "north/ledger.db");
  const auto target = set_at(scratch / "south/ledger.db");
  make_ledger(set.place.location, "wal", 2000);
  const Version pinned = pin_now(source_world, set, "run");
  good(world.target().check(target, 0));

  SECTION("full") {
    disk.full_after(500'000, scratch / "south");
    const auto sent = transfer(source_world, pinned, world, target, run_named("run"));
    REQUIRE_FALSE(sent.has_value());
    CHECK(sent.error().code == ErrorCode::no_space);
    CHECK(disk.met() > 0);
    disk.free_space();
  }
  SECTION("full while the base is copied") {
    const auto first = good(transfer(source_world, pinned, world, target, run_named("run")));
    const Version next = pin_now(source_world, set, "run-2");
    disk.full_after(100'000, scratch / "south");
    const auto sent =
        transfer(source_world, next, world, target, run_named("run-2"), &pinned, &first.version);
    REQUIRE_FALSE(sent.has_value());
    CHECK(sent.error().code == ErrorCode::no_space);
    disk.free_space();
    CHECK(good(world.target().list(target)).size() == 1);
    good(world.target().drop(run_named("run"), first.version));
  }
  SECTION("a read error in the middle") {
    disk.fail_read("/database", 300'000);
    const auto sent = transfer(world, pinned, source_world, target, run_named("run"));
    REQUIRE_FALSE(sent.has_value());
    CHECK(sent.error().code == ErrorCode::source_read);
    disk.heal();
  }
  CHECK(good(world.target().list(target)).empty());
  const auto sent = good(transfer(source_world, pinned, world, target, run_named("run-3")));
  good(world.target().check_version(sent.version));
}

TEST_CASE("a clone that finds the disk full fails the pin and leaves nothing") {
  const test::LoopMount place("btrfs", "256M");
  if (!can_mount(place)) return;
  const auto kernel = os::make_kernel_disk();
  test::FaultyDisk disk(*kernel);
  World world(&disk);
  const auto set = set_at(place.path() + "/ledger.db");
  make_ledger(set.place.location, "wal", 2000);
  const auto armed = good(world.snapshots().arm(run_named("run"), set, {}));
  good(armed->raise_fence(seconds(1)));
  disk.full_after(0);
  const auto pinned = armed->pin();
  disk.free_space();
  REQUIRE_FALSE(pinned.has_value());
  CHECK(pinned.error().code == ErrorCode::no_space);
  CHECK(good(armed->lower_fence()).held);
  nothing_left(world, set);
}

TEST_CASE("death in any phase of a pin leaves no lock, and find shows what is to be dropped") {
  struct Phase {
    const char* failpoint;
    const char* kind;
    bool leaves;  // something in the store
  };
  const auto phase = GENERATE(values<Phase>({
      {"sqlite.arm.probed", "btrfs", true},
      {"sqlite.fence.raised", "btrfs", false},
      {"sqlite.fence.raised", "ext4", false},
      {"sqlite.pin.begin", "btrfs", true},
      {"sqlite.pin.cloned", "btrfs", true},
      {"sqlite.settle.begin", "btrfs", true},
      {"sqlite.settle.written_back", "btrfs", true},
      {"sqlite.settle.publish", "btrfs", true},
      {"sqlite.settle.publish", "ext4", true},
      {"sqlite.copy.step:3", "ext4", true},
  }));
  INFO(phase.failpoint << " on " << phase.kind);
  const test::LoopMount place(phase.kind, "256M");
  if (!can_mount(place)) return;
  World world;
  const auto set = set_at(place.path() + "/ledger.db");
  make_ledger(set.place.location, "wal", 3000);
  Writers writers(*world.processes, set.place.location, 1, 1000);
  REQUIRE(die_at(world, phase.failpoint, {"pin", set.place.location, "run"}));

  {
    auto other = open_database(set.place.location);
    sqlite3_busy_timeout(other.handle(), 2000);
    good(other.run("BEGIN IMMEDIATE; UPDATE counter SET n = n; COMMIT"));
  }
  const auto found = good(world.snapshots().find(run_named("run"), set));
  CHECK(found.has_value() == phase.leaves);
  CHECK(good(world.snapshots().list(set)).size() == (phase.leaves ? 1 : 0));
  if (found) good(world.snapshots().drop(run_named("run"), *found));
  nothing_left(world, set);
  pin_now(world, set, "run");  // and the same run may go again
  CHECK(writers.stop());
  auto after = open_database(set.place.location);
  CHECK(good(after.text("PRAGMA integrity_check")) == "ok");
  check_order(after);
}

TEST_CASE("a durable pin whose agent died before it was settled can be read") {
  const auto failpoint = GENERATE(as<std::string>{}, "sqlite.settle.begin",
                                  "sqlite.settle.written_back", "sqlite.settle.publish");
  INFO(failpoint);
  const test::LoopMount place("btrfs", "256M");
  if (!can_mount(place)) return;
  World world;
  const auto set = set_at(place.path() + "/ledger.db");
  make_ledger(set.place.location, "wal", 500);
  auto reader = open_database(set.place.location);
  good(reader.run("UPDATE counter SET n = 5"));  // lies in the WAL
  const std::string content = good(reader.text(kContent));
  // The version as the journal has it: from a pin of the same database that lived.
  const auto armed = good(world.snapshots().arm(run_named("run"), set, {}));
  const Version journaled = good(armed->pin()).version;
  good(world.snapshots().drop(run_named("run"), journaled));
  REQUIRE(die_at(world, failpoint, {"pin", set.place.location, "run"}));

  const auto source = good(world.sqlite->sources()->open(journaled));
  CHECK(entry_of(*source).size > 0);
  auto copy = open_version(journaled);
  CHECK(good(copy.text("PRAGMA integrity_check")) == "ok");
  CHECK(good(copy.text(kContent)) == content);
}

TEST_CASE("death around the seal leaves a staging or a version, never both") {
  const auto failpoint = GENERATE(as<std::string>{}, "sqlite.seal.rename", "sqlite.seal.renamed");
  INFO(failpoint);
  test::Scratch scratch;
  World world;
  std::filesystem::create_directories(scratch / "north");
  const auto set = set_at(scratch / "north/ledger.db");
  const auto target = set_at(scratch / "south/ledger.db");
  make_ledger(set.place.location, "wal", 500);
  REQUIRE(die_at(world, failpoint, {"stage", set.place.location, target.place.location, "run"}));
  CHECK(good(world.target().list(target)).size() == 1);
  const bool sealed = good(world.target().find(run_named("run"), target)).has_value();
  CHECK(sealed == (failpoint == "sqlite.seal.renamed"));
  // Resumed, it is sealed, whatever had been done.
  const auto staging = good(world.target().stage(run_named("run"), {target, {}, true}));
  const Version version = good(staging->seal());
  good(world.target().check_version(version));
  CHECK(good(world.target().list(target)).size() == 1);
}
