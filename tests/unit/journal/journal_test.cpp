#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <numeric>
#include <thread>

#include "tests/support/scratch.hpp"
#include "tests/unit/journal/work_journal.hpp"

using namespace lockstep;
using test::Scratch;
using test::set_state;
using test::state_of;
using test::work_options;

namespace {

struct Opened {
  Scratch scratch;
  std::unique_ptr<Clock> clock = make_system_clock();
  journal::OpenOptions options = work_options(scratch / "journal.db");
  std::unique_ptr<journal::Journal> journal;

  Opened() { open(); }
  void open() {
    journal.reset();
    auto opened = journal::open(options, *clock);
    if (!opened) FAIL(opened.error().text());
    journal = std::move(*opened);
  }
  Result<void> set(const std::string& name, const std::string& state) {
    return journal->transact("test", [&](journal::Transaction& transaction) {
      return set_state(transaction, name, state);
    });
  }
};

}  // namespace

TEST_CASE("what was committed is there after opening again, and the file is private") {
  Opened o;
  REQUIRE(o.set("a", "intent"));
  const std::string incarnation = o.journal->incarnation();
  CHECK(incarnation.size() == 36);
  struct ::stat info {};
  REQUIRE(::stat(o.options.path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  o.open();
  CHECK(state_of(*o.journal, "a") == "intent");
  CHECK(o.journal->incarnation() == incarnation);
  CHECK(o.journal->last_event() == 1);
}

TEST_CASE("an error of the work rolls all of it back, events too") {
  Opened o;
  REQUIRE(o.set("a", "intent"));
  auto result = o.journal->transact("test", [&](journal::Transaction& transaction) -> Result<void> {
    LOCKSTEP_CHECK(set_state(transaction, "a", "done"));
    transaction.store_reply({"run", "step", 1}, {true, {{"x", 1}}});
    return make_error(ErrorCode::not_found, "as the test wants it");
  });
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::not_found);
  CHECK(state_of(*o.journal, "a") == "intent");
  CHECK(o.journal->last_event() == 1);
  CHECK_FALSE(*o.journal->find_reply({"run", "step", 1}));
  REQUIRE(o.set("a", "done"));
  CHECK(o.journal->last_event() == 2);
}

TEST_CASE("each transaction that was committed is timed, once, and no other") {
  Opened o;
  const auto timed = [&] {
    const auto times = o.journal->write_times();
    return std::accumulate(times.counts.begin(), times.counts.end(), std::uint64_t{0});
  };
  CHECK(timed() == 0);
  REQUIRE(o.set("a", "intent"));
  REQUIRE(o.set("a", "done"));
  CHECK(timed() == 2);
  CHECK(o.journal->write_times().total > Nanos{0});
  (void)o.journal->transact("test", [&](journal::Transaction&) -> Result<void> {
    return make_error(ErrorCode::not_found, "as the test wants it");
  });
  CHECK(timed() == 2);
}

TEST_CASE("SQL that is wrong is a defect and harms nothing") {
  Opened o;
  auto result = o.journal->transact("test", [&](journal::Transaction& transaction) -> Result<void> {
    LOCKSTEP_CHECK(set_state(transaction, "a", "intent"));
    transaction.database().exec("INSERT INTO nowhere VALUES (1)");
    return {};
  });
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::internal);
  CHECK(state_of(*o.journal, "a").empty());
  CHECK(o.set("a", "intent"));
}

TEST_CASE("stored replies are found under run, step and attempt, and outlive the process") {
  Opened o;
  REQUIRE(o.journal->transact("test", [&](journal::Transaction& transaction) -> Result<void> {
    transaction.store_reply({"r", "push", 2}, {true, {{"root", "ab"}}});
    transaction.store_reply({"r", "push", 1}, {false, {{"code", "target-write"}}});
    return {};
  }));
  o.open();
  auto reply = o.journal->find_reply({"r", "push", 2});
  REQUIRE(reply);
  REQUIRE(*reply);
  CHECK((*reply)->ok);
  CHECK((*reply)->body["root"] == "ab");
  CHECK_FALSE((*o.journal->find_reply({"r", "push", 1}))->ok);
  CHECK_FALSE(*o.journal->find_reply({"r", "push", 3}));
  CHECK_FALSE(*o.journal->find_reply({"r", "seal", 2}));
}

TEST_CASE("the outbox counts from 1 without gaps, from several threads and over restarts") {
  Opened o;
  for (int round = 0; round < 2; ++round) {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < 25; ++i) {
          auto result =
              o.journal->transact("test", [&](journal::Transaction& transaction) -> Result<void> {
                LOCKSTEP_CHECK(set_state(transaction, std::to_string(thread), "intent"));
                if (i % 5 == 0) return make_error(ErrorCode::cancelled, "rolled back");
                return {};
              });
          (void)result;
        }
      });
    }
    threads.clear();
    o.open();
  }
  CHECK(o.journal->last_event() == 2 * 4 * 20);
  auto events = o.journal->events_after(0, 1000);
  REQUIRE(events);
  REQUIRE(events->size() == 160);
  for (std::size_t i = 0; i < events->size(); ++i) {
    CHECK((*events)[i].sequence == i + 1);
    CHECK((*events)[i].incarnation == o.journal->incarnation());
    CHECK((*events)[i].source == "worker");
  }
  auto page = o.journal->events_after(150, 4);
  REQUIRE(page);
  REQUIRE(page->size() == 4);
  CHECK(page->front().sequence == 151);
  CHECK(page->front().type == "work.intent");
  CHECK(page->front().data["name"] == page->front().subject);
}

TEST_CASE("old events go, the newest stay, and the range says so") {
  Opened o;
  o.options.keep_events = 10;
  o.open();
  CHECK(o.journal->first_event() == 0);
  CHECK(o.journal->last_event() == 0);
  REQUIRE(o.set("a", "intent"));
  CHECK(o.journal->first_event() == 1);
  for (int i = 0; i < 400; ++i) REQUIRE(o.set("a", "intent"));
  const auto first = o.journal->first_event();
  CHECK(first > 1);
  CHECK(o.journal->last_event() == 401);
  CHECK(o.journal->last_event() - first + 1 >= 10);
  CHECK(o.journal->last_event() - first + 1 < 10 + 256);
  auto events = o.journal->events_after(0, 1000);
  REQUIRE(events);
  CHECK(events->front().sequence == first);
  CHECK(events->size() == 401 - first + 1);
  o.open();
  CHECK(o.journal->first_event() == first);
  CHECK(o.journal->last_event() == 401);
}

TEST_CASE("migrations: a newer program adds, an older one is refused") {
  Opened o;
  REQUIRE(o.set("a", "intent"));
  const auto older = o.options;
  o.options.migrations.push_back("ALTER TABLE work ADD COLUMN note TEXT");
  o.open();
  CHECK(state_of(*o.journal, "a") == "intent");
  o.journal.reset();
  auto refused = journal::open(older, *o.clock);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::journal_newer);
  o.open();  // and it was left as it was
}

TEST_CASE("a migration that fails changes nothing") {
  Opened o;
  REQUIRE(o.set("a", "intent"));
  o.journal.reset();
  auto broken = o.options;
  broken.migrations.push_back("CREATE TABLE second (x INTEGER) STRICT");
  broken.migrations.push_back("CREATE TABLE work (x INTEGER) STRICT");
  CHECK_FALSE(journal::open(broken, *o.clock));
  o.open();
  CHECK(o.journal->read([](SQLite::Database& database) -> Result<void> {
    CHECK_FALSE(database.tableExists("second"));
    return {};
  }));
}

TEST_CASE("reading cannot write, and a transaction cannot call back into its journal") {
  Opened o;
  CHECK_FALSE(o.journal->read([](SQLite::Database& database) -> Result<void> {
    database.exec("INSERT INTO work (name, state) VALUES ('x', 'y')");
    return {};
  }));
  REQUIRE(o.set("a", "intent"));
  auto result = o.journal->transact("test", [&](journal::Transaction&) -> Result<void> {
    CHECK(o.journal->last_event() == 1);
    auto nested = o.journal->find_reply({"r", "s", 1});
    if (!nested) return nested.error();
    return {};
  });
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::internal);
}

TEST_CASE("a second process may not open it") {
  Opened o;
  auto second = journal::open(o.options, *o.clock);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::journal_open);
  CHECK(second.error().what.find("another process") != std::string::npos);
}
