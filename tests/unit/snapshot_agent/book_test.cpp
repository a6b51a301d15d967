#include "services/snapshot-agent/book.hpp"

#include <catch2/catch.hpp>

#include "tests/support/scratch.hpp"

using namespace lockstep;
using namespace lockstep::snapshot;

namespace {

const std::string kRun = "01930000-0000-7000-8000-000000000001";
const std::string kLater = "01930000-0000-7000-8000-000000000002";

message::Body set_body(const std::string& name, const std::string& location) {
  const message::Body side = {{"cluster", "north"},
                              {"component", "files"},
                              {"location", location},
                              {"options", message::Body::object()}};
  return {{"name", name},
          {"agent", "north-snapshot"},
          {"from", side},
          {"to", side},
          {"fence", {{"kind", "hook"}, {"hook", "h"}, {"cgroup", ""}, {"timeout_ns", 5}}},
          {"refers_to", message::Body::array()},
          {"exclude", {"*.tmp"}},
          {"allow_writer_stall", false}};
}

struct Open {
  test::Scratch scratch;
  std::unique_ptr<Clock> clock = make_system_clock();
  std::unique_ptr<journal::Journal> journal;
  Open() {
    journal::OpenOptions options;
    options.path = scratch / "journal.db";
    options.source = "north-snapshot";
    options.migrations = migrations();
    auto opened = journal::open(options, *clock);
    if (!opened) FAIL(opened.error().text());
    journal = std::move(*opened);
  }
  void write(const std::function<void(journal::Transaction&)>& work) {
    auto done = journal->transact("test", [&](journal::Transaction& transaction) -> Result<void> {
      work(transaction);
      return {};
    });
    if (!done) FAIL(done.error().text());
  }
};

}  // namespace

TEST_CASE("Runs, members, holds and fences are kept as they are told", "[book]") {
  Open open;
  Book book(*open.journal);
  const UtcNanos now = open.clock->utc();
  MemberRow member{kRun, "orders", "invoices", set_body("invoices", "/srv/a"), std::nullopt};
  open.write([&](journal::Transaction& transaction) {
    Book::put_run(transaction, {kRun, "orders", false, Over::no}, now);
    Book::put_member(transaction, member);
    Book::put_fence(transaction, {kRun, "orders", "invoices", "how"});
  });
  CHECK(book.open_runs().value().size() == 1);
  CHECK(book.holds().value().empty());
  REQUIRE(book.members_of(kRun).value().size() == 1);
  CHECK_FALSE(book.members_of(kRun).value()[0].version);
  CHECK(book.fences().value().at(0).undo == "how");

  member.version = component::Version{{"orders", "invoices"}, "files", kRun, "native \xff bytes"};
  open.write([&](journal::Transaction& transaction) {
    Book::put_member(transaction, member);
    Book::put_hold(transaction, member, "run", now);
    Book::put_run(transaction, {kRun, "orders", true, Over::no}, now);
    Book::remove_fence(transaction, kRun, "invoices");
  });
  CHECK(book.open_runs().value().empty());
  CHECK(book.fences().value().empty());
  const auto holds = book.holds().value();
  REQUIRE(holds.size() == 1);
  CHECK(holds[0].version.native == "native \xff bytes");
  CHECK(holds[0].reason == "run");
  const OwnSet read = read_set("orders", book.members_of(kRun).value()[0].set);
  CHECK(read.data.exclude == std::vector<std::string>{"*.tmp"});
  CHECK(read.data.fenced_from_outside);

  open.write([&](journal::Transaction& transaction) {
    Book::put_hold(transaction, member, "base", now + seconds(1));
  });
  CHECK(book.holds().value()[0].reason == "base");
  open.write([&](journal::Transaction& transaction) {
    Book::put_run(transaction, {kRun, "orders", false, Over::dropped}, now);
  });
  CHECK(book.unfinished_drops().value().size() == 1);
  open.write([&](journal::Transaction& transaction) {
    CHECK(Book::remove_member(transaction, kRun, "invoices"));
    // Whoever comes second is told that there was nothing left to tell of.
    CHECK_FALSE(Book::remove_member(transaction, kRun, "invoices"));
  });
  CHECK(book.unfinished_drops().value().empty());
  CHECK(book.holds().value().empty());
  INFO("the tombstone and the place stay");
  CHECK(book.find_run(kRun).value()->over == Over::dropped);
  CHECK(book.places().value().size() == 1);
}

TEST_CASE("A set that moved has two places, and runs come in order of time", "[book]") {
  Open open;
  Book book(*open.journal);
  open.write([&](journal::Transaction& transaction) {
    Book::put_member(transaction, {kLater, "orders", "a", set_body("a", "/srv/b"), std::nullopt});
    Book::put_member(transaction, {kRun, "orders", "a", set_body("a", "/srv/a"), std::nullopt});
    Book::put_member(transaction, {kRun, "other", "b", set_body("b", "/srv/c"), std::nullopt});
  });
  CHECK(book.places().value().size() == 3);
  CHECK(book.runs_of("orders").value() == std::vector<std::string>{kRun, kLater});
}

TEST_CASE("The epoch is kept", "[book]") {
  Open open;
  Book book(*open.journal);
  CHECK_FALSE(book.epoch().value());
  for (const std::uint64_t number : {2U, 5U}) {
    open.write([&](journal::Transaction& transaction) {
      Book::put_epoch(transaction, {number, kRun});
    });
    CHECK(book.epoch().value()->number == number);
  }
}
