// Versions on the secondary: in full, by what changed, sealed, restored, dropped.
#include <sys/stat.h>

#include "tests/unit/sqlite/transfer.hpp"

using namespace lockstep;
using namespace lockstep::sqlite_test;
using component::Action;
using component::Version;

namespace {

struct Pair {
  explicit Pair(const std::string& primary, const std::string& secondary = "")
      : set(set_at(primary + "/north/ledger.db")),
        target(set_at((secondary.empty() ? primary : secondary) + "/south/standby/ledger.db")) {
    std::filesystem::create_directories(primary + "/north");
  }
  component::DataSet set;
  component::DataSet target;
};

Version full(World& world, const Pair& pair, const std::string& run) {
  const Version pinned = pin_now(world, pair.set, run);
  return good(transfer(world, pinned, world, pair.target, run_named(run))).version;
}

// The least that has to be sent: pages that differ, and what lies beyond the base's end.
std::uint64_t differing(const std::string& before, const std::string& now, int page_size) {
  const auto page = static_cast<std::size_t>(page_size);
  std::uint64_t out = now.size() > before.size() ? now.size() - before.size() : 0;
  const std::size_t both = std::min(before.size(), now.size());
  for (std::size_t at = 0; at < both; at += page) {
    const std::size_t length = std::min(page, both - at);
    if (before.compare(at, length, now, at, length) != 0) out += length;
  }
  return out;
}

}  // namespace

TEST_CASE("increments applied to the base are the new version byte for byte") {
  const auto kind = GENERATE(as<std::string>{}, "btrfs", "xfs", "ext4");
  const auto page_size = GENERATE(4096, 1024, 65536);
  if (page_size != 4096 && kind != "btrfs") return;
  const test::LoopMount place(kind, "600M");
  if (!place.mounted()) {
    WARN("SKIPPED: cannot mount " << kind << " here (needs root)");
    return;
  }
  INFO(kind << ", pages of " << page_size);
  World world;
  const Pair pair(place.path());
  const std::string& path = pair.set.place.location;
  make_ledger(path, "wal", 3000, page_size);
  Writers writers(*world.processes, path, 2, 2000);

  Version base = pin_now(world, pair.set, "run-0");
  auto first = good(transfer(world, base, world, pair.target, run_named("run-0")));
  Version base_there = first.version;
  CHECK(bytes_of(file_of(base_there)) == bytes_of(file_of(base)));
  for (int i = 1; i <= 6; ++i) {
    ::usleep(20'000);
    if (i == 4) {  // becomes smaller
      auto database = open_database(path);
      good(database.run("DELETE FROM entry WHERE counter = 0"));
      good(database.text("PRAGMA wal_checkpoint"));
      while (!database.run("VACUUM")) ::usleep(1000);
    }
    const std::string run = "run-" + std::to_string(i);
    const Version next = pin_now(world, pair.set, run);
    const auto sent =
        good(transfer(world, next, world, pair.target, run_named(run), &base, &base_there));
    const std::string bytes = bytes_of(file_of(next));
    CHECK(bytes_of(file_of(sent.version)) == bytes);
    CHECK(sent.bytes <= differing(bytes_of(file_of(base)), bytes, page_size));
    good(world.target().check_version(sent.version));
    auto copy = open_version(sent.version);
    check_order(copy);
    CHECK(good(world.sqlite->sources()->open(base_there)) != nullptr);  // the base is as it was
    good(world.snapshots().drop(run_named("x"), base));
    good(world.target().drop(run_named("x"), base_there));
    base = next;
    base_there = sent.version;
  }
  CHECK(writers.stop());
  CHECK(good(world.target().list(pair.target)).size() == 1);
  CHECK(good(world.snapshots().list(pair.set)).size() == 1);
}

TEST_CASE("nothing changed: nothing is sent, the version stands for the same content") {
  test::Scratch scratch;
  World world;
  Pair pair(scratch.path());
  pair.set.allow_writer_stall = true;
  make_ledger(pair.set.place.location, "wal", 100);
  const Version base = pin_now(world, pair.set, "run-0");
  const auto there = good(transfer(world, base, world, pair.target, run_named("run-0")));
  const Version next = pin_now(world, pair.set, "run-1");
  const auto source = good(world.sqlite->sources()->open(next));
  const auto runs = good(source->changed_extents(entry_of(*source), base));
  REQUIRE(runs.has_value());
  // The backup of a read transaction rewrites the counters of the first page, nothing else.
  CHECK(runs->size() <= 1);
  {
    auto database = open_database(pair.set.place.location);
    good(database.run("UPDATE counter SET n = n + 1"));
  }
  const Version little = pin_now(world, pair.set, "run-2");
  const auto sent =
      good(transfer(world, little, world, pair.target, run_named("run-2"), &base, &there.version));
  CHECK(sent.bytes <= 2 * 4096);  // the first page and the counter's
  CHECK(bytes_of(file_of(sent.version)) == bytes_of(file_of(little)));
  good(world.target().drop(run_named("x"), sent.version));
  const auto staging =
      good(world.target().stage(run_named("run-1"), {pair.target, there.version, false}));
  const Version sealed = good(staging->seal());
  CHECK(bytes_of(file_of(sealed)) == bytes_of(file_of(there.version)));
  good(world.target().drop(run_named("x"), there.version));
  good(world.target().check_version(sealed));
  CHECK(good(world.target().list(pair.target)).size() == 1);
}

TEST_CASE("metadata of the database is carried") {
  test::Scratch scratch;
  World world;
  const Pair pair(scratch.path());
  make_ledger(pair.set.place.location, "wal", 10);
  ::chmod(pair.set.place.location.c_str(), 0640);
  if (::geteuid() == 0) {
    REQUIRE(::chown(pair.set.place.location.c_str(), 1234, 2345) == 0);
  }
  const Version there = full(world, pair, "run");
  const auto source = good(world.sqlite->sources()->open(there));
  const auto entry = entry_of(*source);
  CHECK(entry.path.empty());
  CHECK(entry.kind == component::EntryKind::regular);
  CHECK(entry.mode == 0640);
  CHECK(entry.mtime_ns == 0);
  struct ::stat seen {};
  REQUIRE(::stat(file_of(there).c_str(), &seen) == 0);
  CHECK((seen.st_mode & 07777) == 0640);
  if (::geteuid() == 0) {
    CHECK(entry.uid == 1234);
    CHECK(entry.gid == 2345);
    CHECK(seen.st_uid == 1234);
  }
}

TEST_CASE("a staging may be resumed, and sealed again") {
  test::Scratch scratch;
  World world;
  const Pair pair(scratch.path());
  make_ledger(pair.set.place.location, "wal", 500);
  const Version pinned = pin_now(world, pair.set, "run");
  const auto source = good(world.sqlite->sources()->open(pinned));
  const auto entry = entry_of(*source);
  const auto reader = good(source->open(entry));
  const auto context = run_named("run");

  const auto none = world.target().stage(context, {pair.target, {}, true});
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().code == ErrorCode::resume_refused);
  {
    const auto staging = good(world.target().stage(context, {pair.target, {}, false}));
    good(staging->begin(entry, Action::create));
    good(send(*reader, *staging, {0, 200'000}));
    good(staging->checkpoint());
  }  // the process dies here
  CHECK(good(world.target().list(pair.target)).size() == 1);
  CHECK_FALSE(good(world.target().find(context, pair.target)).has_value());
  {
    const auto staging = good(world.target().stage(context, {pair.target, {}, true}));
    good(staging->begin(entry, Action::patch));
    good(send(*reader, *staging, {100'000, entry.size - 100'000}));
    std::vector<std::byte> back(100);
    CHECK(good(staging->read_back(50'000, back)) == 100);
    good(staging->finish());
    const Version sealed = good(staging->seal());
    CHECK(bytes_of(file_of(sealed)) == bytes_of(file_of(pinned)));
    CHECK(good(staging->seal()).native == sealed.native);
  }
  // Resumed once more after the seal: what is sent again is let pass.
  const auto again = good(world.target().stage(context, {pair.target, {}, true}));
  good(again->begin(entry, Action::create));
  good(send(*reader, *again, {0, 4096}));
  good(again->finish());
  CHECK(bytes_of(file_of(good(again->seal()))) == bytes_of(file_of(pinned)));
  CHECK(good(world.target().find(context, pair.target)).has_value());
  CHECK(good(world.target().list(pair.target)).size() == 1);
}

TEST_CASE("an entry that nobody may write can be sent twice, by an agent without privileges too") {
  test::Scratch scratch;
  World world;
  component::Entry entry;
  entry.mode = 0400;
  const uid_t nobody = 65534;
  entry.uid = ::geteuid() == 0 ? nobody : ::geteuid();
  entry.gid = ::geteuid() == 0 ? nobody : ::getegid();
  std::filesystem::permissions(scratch.path(), std::filesystem::perms(0777));
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::geteuid() == 0 && (::setegid(nobody) != 0 || ::seteuid(nobody) != 0)) ::_exit(9);
    auto staging =
        world.target().stage(run_named("run"), {set_at(scratch / "south/ledger.db"), {}, false});
    if (!staging) ::_exit(2);
    for (int i = 0; i < 2; ++i) {
      if (!(*staging)->begin(entry, Action::create) || !(*staging)->finish()) ::_exit(3);
    }
    ::_exit((*staging)->seal() ? 0 : 4);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a new attempt removes what an earlier one staged") {
  test::Scratch scratch;
  World world;
  const Pair pair(scratch.path());
  auto context = run_named("run");
  { const auto first = good(world.target().stage(context, {pair.target, {}, false})); }
  context.attempt = 2;
  const auto second = good(world.target().stage(context, {pair.target, {}, false}));
  const auto listed = good(world.target().list(pair.target));
  REQUIRE(listed.size() == 1);
  CHECK(listed.front().name == "run");
  SECTION("abandoned") { good(second->abandon()); }
  SECTION("dropped as it was listed") {
    good(world.target().drop(context, listed.front()));
    good(world.target().drop(context, listed.front()));
  }
  CHECK(good(world.target().list(pair.target)).empty());
}

TEST_CASE("what no honest sender sends is refused") {
  test::Scratch scratch;
  World world;
  const Pair pair(scratch.path());
  const auto staging = good(world.target().stage(run_named("run"), {pair.target, {}, false}));
  component::Entry entry;
  entry.size = 100;
  entry.mode = 0600;
  entry.uid = ::geteuid();
  entry.gid = ::getegid();
  const auto refused = [](const auto& result) {
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == ErrorCode::stream_hostile);
  };
  auto wrong = entry;
  wrong.path = "../../etc/passwd";
  refused(staging->begin(wrong, Action::create));
  wrong = entry;
  wrong.kind = component::EntryKind::symlink;
  refused(staging->begin(wrong, Action::create));
  refused(staging->remove("x"));
  refused(staging->leave_directory(entry));
  good(staging->begin(entry, Action::create));
  std::vector<std::byte> bytes(50);
  refused(staging->write(60, bytes));
  refused(staging->write(~std::uint64_t{0} - 10, bytes));
  good(staging->write(50, bytes));
  good(staging->finish());
  // Zeros are no database.
  const auto sealed = staging->seal();
  REQUIRE_FALSE(sealed.has_value());
  CHECK(sealed.error().code == ErrorCode::sqlite_not_a_database);
  CHECK_FALSE(good(world.target().find(run_named("run"), pair.target)).has_value());
}

TEST_CASE("a damaged database is never sealed, a damaged version is found") {
  test::Scratch scratch;
  World world;
  const Pair pair(scratch.path());
  make_ledger(pair.set.place.location, "wal", 2000);
  const Version pinned = pin_now(world, pair.set, "run");
  const auto damage = [](const std::string& file) {
    std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(20 * 4096);
    out << std::string(8192, '\x5a');
  };
  SECTION("as it comes") {
    damage(file_of(pinned));
    const auto sent = transfer(world, pinned, world, pair.target, run_named("run"));
    REQUIRE_FALSE(sent.has_value());
    CHECK(sent.error().code == ErrorCode::sqlite_integrity);
    CHECK(good(world.target().list(pair.target)).empty());
  }
  SECTION("later") {
    const auto sent = good(transfer(world, pinned, world, pair.target, run_named("run")));
    good(world.target().check_version(sent.version));
    damage(file_of(sent.version));
    const auto checked = world.target().check_version(sent.version);
    REQUIRE_FALSE(checked.has_value());
    CHECK(checked.error().code == ErrorCode::sqlite_integrity);
  }
}

TEST_CASE("a database that needs its application's collations can be sealed") {
  test::Scratch scratch;
  World world;
  const Pair pair(scratch.path());
  const std::string& path = pair.set.place.location;
  make_ledger(path, "wal", 10);
  {
    auto database = open_database(path);
    sqlite3_create_collation(
        database.handle(), "shop", SQLITE_UTF8, nullptr,
        [](void*, int a, const void* left, int b, const void* right) {
          const std::string_view l(static_cast<const char*>(left), static_cast<std::size_t>(a));
          const std::string_view r(static_cast<const char*>(right), static_cast<std::size_t>(b));
          return r.compare(l);
        });
    good(
        database.run("CREATE TABLE item(name TEXT COLLATE shop UNIQUE);"
                     "INSERT INTO item VALUES('a'), ('b'), ('c')"));
  }
  good(world.target().check_version(full(world, pair, "run")));
}

TEST_CASE("restore to a new place and in place") {
  test::Scratch scratch;
  World world;
  const Pair pair(scratch.path());
  make_ledger(pair.set.place.location, "wal", 300);
  const Version version = full(world, pair, "run");
  const auto context = run_named("restore-1");
  const std::string to = scratch / "new/place/ledger.db";

  const auto first = good(world.target().restore(context, version, {to, {}}, "", false));
  CHECK(first.entries == 1);
  CHECK(first.moved_aside.empty());
  CHECK(bytes_of(to) == bytes_of(file_of(version)));
  CHECK(names_in(scratch / "new/place") == std::vector<std::string>{"ledger.db"});

  const auto refused = world.target().restore(context, version, {to, {}}, "", false);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ErrorCode::place_not_empty);

  SECTION("what is there goes aside with its WAL") {
    // Its last commits are in a WAL that nobody wrote back.
    {
      auto database = open_database(to);
      good(database.run("UPDATE counter SET n = 4711"));
      REQUIRE(::system(("cd '" + scratch.path() +
                        "/new/place' && for e in '' -wal -shm; do cp ledger.db$e keep.db$e; done")
                           .c_str()) == 0);
    }
    for (const char* end : {"", "-wal", "-shm"}) {
      std::filesystem::rename(scratch / (std::string("new/place/keep.db") + end), to + end);
    }
    const auto second = good(world.target().restore(context, version, {to, {}}, "", true));
    REQUIRE_FALSE(second.moved_aside.empty());
    CHECK_FALSE(std::filesystem::exists(to + "-wal"));
    auto now = open_database(to);
    CHECK(good(now.number("SELECT n FROM counter")) == 0);
    auto aside = open_database(second.moved_aside);
    CHECK(good(aside.number("SELECT n FROM counter")) == 4711);
    const auto third = good(world.target().restore(run_named("restore-1"), version,
                                                   {scratch / "other.db", {}}, "", true));
    CHECK(third.moved_aside.empty());
  }
  SECTION("twice under one name: both go aside") {
    const auto second = good(world.target().restore(context, version, {to, {}}, "", true));
    const auto third = good(world.target().restore(context, version, {to, {}}, "", true));
    CHECK(second.moved_aside != third.moved_aside);
    CHECK(std::filesystem::exists(second.moved_aside));
  }
  SECTION("not while a process has it open") {
    os::Command command;
    command.argv = {SQLITE_WRITER, to, "1", "10000"};
    const auto child = good(world.processes->start(command));
    ::usleep(200'000);
    const auto open = world.target().restore(context, version, {to, {}}, "", true);
    child->signal(SIGTERM);
    child->wait();
    REQUIRE_FALSE(open.has_value());
    CHECK(open.error().code == ErrorCode::guard);
  }
  SECTION("a part of it: no") {
    const auto part = world.target().restore(context, version, {scratch / "x.db", {}}, "a", false);
    REQUIRE_FALSE(part.has_value());
    CHECK(part.error().code == ErrorCode::not_supported);
  }
}

TEST_CASE("drop removes what is a version and nothing else") {
  test::Scratch scratch;
  World world;
  const Pair pair(scratch.path());
  make_ledger(pair.set.place.location, "wal", 10);
  Version version = full(world, pair, "run");
  auto forged = version;
  forged.native = R"({"file":")" + scratch.path() + R"(/north/ledger.db","hold":")" +
                  scratch.path() + R"(/north","page_size":4096})";
  CHECK_FALSE(world.target().drop(run_named("run"), forged).has_value());
  forged.native = "nonsense";
  CHECK_FALSE(world.target().drop(run_named("run"), forged).has_value());
  CHECK(std::filesystem::exists(pair.set.place.location));
  good(world.target().drop(run_named("run"), version));
  good(world.target().drop(run_named("run"), version));
  CHECK(good(world.target().list(pair.target)).empty());
  const auto gone = world.sqlite->sources()->open(version);
  REQUIRE_FALSE(gone.has_value());
  CHECK(gone.error().code == ErrorCode::version_missing);
}

TEST_CASE("check refuses what will not fit") {
  test::Scratch scratch;
  World world;
  const Pair pair(scratch.path());
  good(world.target().check(pair.target, 1000));
  const auto refused = world.target().check(pair.target, std::uint64_t{1} << 60U);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ErrorCode::no_space);
}
