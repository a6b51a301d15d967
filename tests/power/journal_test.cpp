// Power lost at any write or sync of the journal: it opens again, is not damaged, holds every
// transaction that was said to be done, and of any other either all or nothing.
#include "common/journal/journal.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <catch2/catch.hpp>
#include <set>

#include "tests/power/sweep.hpp"
#include "tests/support/disk_vfs.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

constexpr int kTransactions = 12;

journal::OpenOptions options_on(LosingDisk& place, const DiskVfs& vfs) {
  journal::OpenOptions options;
  options.path = place.top() + "/journal.db";
  options.source = "worker";
  options.migrations = {"CREATE TABLE work (number INTEGER PRIMARY KEY, text TEXT) STRICT"};
  options.disk = &*place.disk;
  options.vfs = vfs.name();
  return options;
}

std::string run_named(int number) {
  const std::string text = std::to_string(number);
  return "01930000-0000-7000-8000-" + std::string(12 - text.size(), '0') + text;
}

journal::ReplyKey key_of(int number) { return {run_named(number), "pin", 1}; }

// Effect, event and reply in one transaction; large enough to move several pages.
Result<void> work(journal::Journal& journal, int number) {
  return journal.transact("work", [&](journal::Transaction& transaction) -> Result<void> {
    SQLite::Statement insert(transaction.database(), "INSERT INTO work VALUES (?, ?)");
    insert.bind(1, number);
    insert.bind(2, std::string(3000, static_cast<char>('a' + number)));
    insert.exec();
    transaction.emit("point.sealed", "orders", {{"id", run_named(number)}, {"service", "orders"}});
    transaction.store_reply(key_of(number), {true, {{"number", number}}});
    return {};
  });
}

// What was said to the outside before the power went.
struct Said {
  std::string incarnation;
  int done = 0;
};

// Twelve transactions, with the log carried over into the database now and then, and the journal
// closed and opened on the way. False: the power went.
bool live(const journal::OpenOptions& options, const Clock& clock, Said& said) {
  int number = 0;
  while (number < kTransactions) {
    auto opened = journal::open(options, clock);
    if (!opened) return false;
    said.incarnation = (*opened)->incarnation();
    if (!(*opened)->read([](SQLite::Database& database) -> Result<void> {
          database.exec("PRAGMA wal_autocheckpoint = 6");
          return {};
        }))
      return false;
    for (const int stop = number + kTransactions / 2; number < stop; ++number) {
      if (!work(**opened, number)) return false;
      said.done = number + 1;
    }
  }
  return true;
}

void check(journal::Journal& journal, const Said& said) {
  if (!said.incarnation.empty()) CHECK(journal.incarnation() == said.incarnation);
  std::string found;
  std::set<std::int64_t> rows;
  REQUIRE(journal.read([&](SQLite::Database& database) -> Result<void> {
    found = database.execAndGet("PRAGMA integrity_check").getString();
    SQLite::Statement query(database, "SELECT number, text FROM work ORDER BY number");
    while (query.executeStep()) {
      const auto number = query.getColumn(0).getInt64();
      rows.insert(number);
      CHECK(query.getColumn(1).getString() == std::string(3000, static_cast<char>('a' + number)));
    }
    return {};
  }));
  CHECK(found == "ok");
  const auto events = journal.events_after(0, 1000);
  REQUIRE(events);
  std::uint64_t sequence = 0;
  for (const auto& event : *events) CHECK(event.sequence == ++sequence);
  CHECK(events->size() == rows.size());
  for (int number = 0; number < kTransactions; ++number) {
    const bool there = rows.contains(number);
    if (number < said.done) CHECK(there);        // a reply once given is never taken back
    if (number > said.done) CHECK_FALSE(there);  // the one after it was under way at most
    const auto reply = journal.find_reply(key_of(number));
    REQUIRE(reply);
    CHECK(reply->has_value() == there);
    if (*reply) CHECK((*reply)->body.at("number") == number);
  }
}

}  // namespace

TEST_CASE(
    "after a power loss at any call the journal holds whole transactions, all that were told") {
  const auto clock = make_system_clock();
  for (std::uint64_t luck = 0; luck < (all_of_it() ? 20 : 3); ++luck) {
    sweep("journal", 1, [&](std::uint64_t calls, std::uint64_t seed) {
      CAPTURE(calls, seed + luck);
      LosingDisk place;
      const DiskVfs vfs(*place.disk, "losing");
      const auto options = options_on(place, vfs);
      place.disk->power_off_after(calls);
      Said said;
      const bool finished = live(options, *clock, said);
      place.disk->lose_power(seed + luck);
      place.disk->power_on();
      auto opened = journal::open(options, *clock);
      if (!opened) FAIL(opened.error().text());
      check(**opened, said);
      // And it goes on.
      for (int number = 0; number < kTransactions; ++number) {
        auto reply = (*opened)->find_reply(key_of(number));
        REQUIRE(reply);
        if (!*reply) REQUIRE(work(**opened, number));
      }
      check(**opened, {(*opened)->incarnation(), kTransactions});
      return finished;
    });
  }
}
