// Power loss while a version is received: afterwards it is whole, or it is not there.
#include "tests/support/lossy_disk.hpp"
#include "tests/unit/sqlite/transfer.hpp"

using namespace lockstep;
using namespace lockstep::sqlite_test;
using component::Version;

TEST_CASE("after a power loss at any call a version is whole or not there") {
  const auto seed = GENERATE(1U, 2U, 3U);
  const auto kernel = os::make_kernel_disk();
  World source_world;
  test::Scratch scratch;
  std::filesystem::create_directories(scratch / "north");
  const auto set = set_at(scratch / "north/ledger.db");
  make_ledger(set.place.location, "wal", 200);
  const Version base = pin_now(source_world, set, "run-0");
  {
    auto database = open_database(set.place.location);
    good(database.run("UPDATE entry SET text = 'new' WHERE id % 20 = 0"));
  }
  const Version next = pin_now(source_world, set, "run-1");
  const std::string bytes = bytes_of(file_of(next));

  bool finished = false;
  int whole = 0;
  for (std::uint64_t calls = 0; !finished; ++calls) {
    INFO("power lost at call " << calls << ", seed " << seed);
    REQUIRE(calls < 500);
    test::Scratch there;
    std::filesystem::create_directories(there / "grave");
    std::filesystem::create_directories(there / "south");
    test::LossyDisk disk(*kernel, there / "grave");
    World world(&disk);
    const auto target = set_at(there / "south/ledger.db");
    const auto first = good(transfer(source_world, base, world, target, run_named("run-0")));

    disk.power_off_after(calls);
    const auto context = run_named("run-1");
    const auto source = good(source_world.sqlite->sources()->open(next));
    const auto entry = entry_of(*source);
    const auto reader = good(source->open(entry));
    const auto work = [&]() -> Result<Version> {
      LOCKSTEP_TRY(const auto staging,
                   world.target().stage(context, {target, first.version, false}));
      LOCKSTEP_CHECK(staging->begin(entry, component::Action::patch));
      LOCKSTEP_TRY(const auto runs, source->changed_extents(entry, base));
      for (const auto& run : runs.value()) LOCKSTEP_CHECK(send(*reader, *staging, run));
      LOCKSTEP_CHECK(staging->finish());
      return staging->seal();
    };
    finished = work().has_value();
    disk.lose_power(seed * 1000 + calls);
    disk.power_on();

    const auto found = good(world.target().find(context, target));
    if (finished) REQUIRE(found.has_value());  // what was told sealed has survived
    if (found) {
      ++whole;
      good(world.target().check_version(*found));
      CHECK(bytes_of(file_of(*found)) == bytes);
      struct ::stat seen {};
      REQUIRE(::stat(file_of(*found).c_str(), &seen) == 0);
      CHECK((seen.st_mode & 07777) == entry.mode);
    }
    // The base is untouched, and all that is listed can be dropped.
    CHECK(bytes_of(file_of(first.version)) == bytes_of(file_of(base)));
    for (const Version& version : good(world.target().list(target))) {
      good(world.target().drop(context, version));
    }
    CHECK(good(world.target().list(target)).empty());
  }
  CHECK(whole > 0);
}

TEST_CASE("after a power loss while a database is replaced the old one or the new one is whole") {
  const auto seed = GENERATE(1U, 2U, 3U);
  const auto kernel = os::make_kernel_disk();
  World source_world;
  test::Scratch scratch;
  std::filesystem::create_directories(scratch / "north");
  const auto set = set_at(scratch / "north/ledger.db");
  make_ledger(set.place.location, "wal", 100);
  const Version version = pin_now(source_world, set, "run");
  const std::string bytes = bytes_of(file_of(version));
  const std::string old_bytes = bytes + "old";

  bool finished = false;
  for (std::uint64_t calls = 0; !finished; ++calls) {
    INFO("power lost at call " << calls << ", seed " << seed);
    REQUIRE(calls < 200);
    test::Scratch there;
    std::filesystem::create_directories(there / "grave");
    std::filesystem::create_directories(there / "live");
    const std::string path = there / "live/ledger.db";
    std::ofstream(path) << old_bytes;
    test::LossyDisk disk(*kernel, there / "grave");
    World world(&disk);
    disk.power_off_after(calls);
    finished = world.target().restore(run_named("back"), version, {path, {}}, "", true).has_value();
    disk.lose_power(seed * 1000 + calls);
    disk.power_on();
    const bool there_now = std::filesystem::exists(path);
    const std::string aside = path + ".aside-back";
    if (finished) {
      CHECK(bytes_of(path) == bytes);
      CHECK(bytes_of(aside) == old_bytes);
    }
    if (there_now) CHECK((bytes_of(path) == bytes || bytes_of(path) == old_bytes));
    // What was there is never lost.
    CHECK(((there_now && bytes_of(path) == old_bytes) || bytes_of(aside) == old_bytes));
  }
}
