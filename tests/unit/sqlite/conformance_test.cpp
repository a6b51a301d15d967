// The suite that every component's Snapshots passes.
#include "tests/conformance/carry.hpp"
#include "tests/conformance/snapshots_suite.hpp"
#include "tests/unit/sqlite/world.hpp"

using namespace lockstep;
using namespace lockstep::sqlite_test;

TEST_CASE("the suite of Snapshots, on each file system and journal") {
  const auto kind = GENERATE(as<std::string>{}, "btrfs", "xfs", "ext4");
  const auto journal = GENERATE(as<std::string>{}, "wal", "delete");
  INFO(kind << " " << journal);
  const test::LoopMount place(kind, "400M");
  if (!place.mounted()) {
    WARN("SKIPPED: cannot mount " << kind << " here (needs root)");
    return;
  }
  World world;
  auto set = set_at(place.path() + "/ledger.db");
  set.allow_writer_stall = true;
  make_ledger(set.place.location, journal, 300);
  auto live = open_database(set.place.location);
  test::run_snapshots_suite(
      {.snapshots = world.snapshots(),
       .set = set,
       .clock = *world.clock,
       .change =
           [&] { good(live.run("UPDATE counter SET n = n + 1; DELETE FROM entry WHERE id < 9")); },
       .live = [&] { return good(live.text(kContent)); },
       .shown =
           [](const component::Version& version) {
             auto copy = open_version(version);
             return good(copy.text(kContent));
           }});
}

TEST_CASE("what is carried twice, resumed or carried again is the same") {
  test::Scratch scratch;
  World world;
  std::filesystem::create_directories(scratch / "north");
  const auto set = set_at(scratch / "north/ledger.db");
  make_ledger(set.place.location, "wal", 300);
  const auto pin = [&](const std::string& run) {
    const auto armed = good(world.snapshots().arm(run_named(run), set, {}));
    good(armed->pin());
    return good(armed->settle(run_named(run)));
  };
  const auto first = pin("run-1");
  test::Carry carry{.sources = *world.sqlite->sources(),
                    .target = world.target(),
                    .set = set_at(scratch / "south/ledger.db"),
                    .pin = first,
                    .run = "run-1"};
  carry.twice = true;
  const auto kept = good(test::Carrier(carry).run()).version;
  CHECK(bytes_of(world.target().path_of(kept)) == bytes_of(world.target().path_of(first)));
  CHECK(good(test::Carrier(carry).run()).version.native == kept.native);

  {
    auto database = open_database(set.place.location);
    good(database.run("UPDATE counter SET n = 9; DELETE FROM entry WHERE id % 50 = 0"));
  }
  const auto second = pin("run-2");
  for (const bool twice : {false, true}) {
    carry.twice = twice;
    carry.stop_after = twice ? 0 : 1;
    carry.pin = second;
    carry.run = twice ? "run-2" : "run-3";
    carry.base_pin = first;
    carry.base_version = kept;
    const auto next = good(test::Carrier(carry).run()).version;
    CHECK(bytes_of(world.target().path_of(next)) == bytes_of(world.target().path_of(second)));
    good(world.target().check_version(next));
  }
  CHECK(good(world.target().list(carry.set)).size() == 3);
}
