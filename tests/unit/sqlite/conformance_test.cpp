// The suite that every component's Snapshots passes.
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
