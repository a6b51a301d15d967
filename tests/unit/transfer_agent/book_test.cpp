#include "services/transfer-agent/book.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <thread>

#include "services/transfer-agent/epoch.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;
using namespace lockstep::transfer;

namespace {

struct Opened {
  test::Scratch scratch;
  std::unique_ptr<Clock> clock = make_system_clock();
  std::unique_ptr<journal::Journal> journal;
  std::optional<Book> book;

  Opened() { open(); }
  void open() {
    book.reset();
    journal.reset();
    journal::OpenOptions options;
    options.path = scratch / "agent.db";
    options.source = "south-transfer";
    options.migrations = migrations();
    auto opened = journal::open(options, *clock);
    if (!opened) FAIL(opened.error().text());
    journal = std::move(*opened);
    book.emplace(*journal);
  }
  template <class Work>
  void transact(Work work) {
    REQUIRE(journal->transact("test", [&](journal::Transaction& transaction) -> Result<void> {
      work(transaction);
      return {};
    }));
  }
};

Received received(const std::string& run) {
  Received out;
  out.run = run;
  out.target.id = {"orders", "files"};
  out.target.component = "files";
  out.target.place = {std::string("/srv/\xff not UTF-8"), {{"option", "value"}}};
  out.target.exclude = {"*.tmp"};
  out.base = "base";
  out.staging_attempt = 3;
  out.manifest = "/m";
  return out;
}

}  // namespace

TEST_CASE("what is received and sent is kept as it was, bytes that are no UTF-8 too") {
  Opened o;
  auto row = received("r1");
  REQUIRE(o.book->put_received(row));
  row.version = component::Version{row.target.id, "files", "r1", std::string("native\0\xff", 8)};
  row.root = "ab";
  row.entries = 5;
  REQUIRE(o.book->put_received(row));
  REQUIRE(o.book->put_sent({"r1", *row.version, "/s"}));
  REQUIRE(o.book->put_sent({"r2", *row.version, "/t"}));
  o.open();
  auto found = o.book->find_received("r1", "files");
  REQUIRE(found);
  REQUIRE(*found);
  CHECK((*found)->target.place.location == row.target.place.location);
  CHECK((*found)->target.place.options == row.target.place.options);
  CHECK((*found)->target.exclude == row.target.exclude);
  CHECK((*found)->version->native == row.version->native);
  CHECK((*found)->staging_attempt == 3);
  CHECK((*found)->entries == 5);
  CHECK_FALSE(*o.book->find_received("r1", "other"));
  CHECK(o.book->all_received()->size() == 1);
  CHECK((*o.book->find_sent("r1", "files"))->manifest == "/s");
  REQUIRE(o.book->sent_before("orders", "r2")->size() == 1);
  CHECK(o.book->sent_before("orders", "r2")->front().run == "r1");
  CHECK(o.book->sent_before("invoices", "r2")->empty());
}

TEST_CASE("resumption: saved, loaded, cleared, forgotten with its run") {
  Opened o;
  JournalResumeLog log(*o.journal, "r1", "files");
  CHECK_FALSE(*log.load());
  REQUIRE(log.save({std::string("s\0t", 3), 7, 5, false}));
  o.open();
  JournalResumeLog again(*o.journal, "r1", "files");
  auto row = again.load();
  REQUIRE(row);
  REQUIRE(*row);
  CHECK((*row)->state == std::string("s\0t", 3));
  CHECK((*row)->sequence == 7);
  CHECK((*row)->durable == 5);
  REQUIRE(again.clear());
  CHECK_FALSE(*again.load());
  REQUIRE(again.save({"x", 1, 1, true}));
  REQUIRE(o.book->put_received(received("r1")));
  o.transact([](auto& transaction) { Book::forget_received(transaction, "r1"); });
  CHECK_FALSE(*again.load());
  CHECK(o.book->all_received()->empty());
}

TEST_CASE("tombstones stay, and keep their first reason") {
  Opened o;
  CHECK_FALSE(*o.book->tombstone("r"));
  o.transact([](auto& transaction) { Book::bury(transaction, "r", "orders", "first", {1}); });
  o.transact([](auto& transaction) { Book::bury(transaction, "r", "orders", "second", {2}); });
  o.open();
  CHECK(*o.book->tombstone("r") == "first");
}

TEST_CASE("the epoch: older and contradicting refused, newer kept, none passes") {
  Opened o;
  auto keeper = EpochKeeper::load(*o.journal, {1, "first"});
  REQUIRE(keeper);
  CHECK((*keeper)->admit({1, "first"}));
  CHECK((*keeper)->admit({0, ""}));
  CHECK((*keeper)->admit({1, "other"}).error().code == ErrorCode::epoch_old);
  CHECK((*keeper)->admit({3, "third"}));
  CHECK((*keeper)->admit({2, "second"}).error().code == ErrorCode::epoch_old);
  CHECK((*keeper)
            ->publish({1, "first"},
                      []() -> Result<void> {
                        FAIL("nothing is published under an old epoch");
                        return {};
                      })
            .error()
            .code == ErrorCode::epoch_old);
  o.open();
  auto again = EpochKeeper::load(*o.journal, {1, "first"});
  REQUIRE(again);
  CHECK((*again)->current() == message::Epoch{3, "third"});
}

TEST_CASE("raising the epoch waits for a publishing that is under way") {
  Opened o;
  auto keeper = EpochKeeper::load(*o.journal, {1, "first"});
  REQUIRE(keeper);
  std::promise<void> inside;
  std::promise<void> go_on;
  std::atomic<bool> published = false;
  std::thread publisher([&] {
    auto done = (*keeper)->publish({1, "first"}, [&]() -> Result<void> {
      inside.set_value();
      go_on.get_future().wait();
      published = true;
      return {};
    });
    CHECK(done);
  });
  inside.get_future().wait();
  auto raised = std::async(std::launch::async, [&] {
    auto result = (*keeper)->admit({2, "second"});
    return result.has_value() && published.load();
  });
  CHECK(raised.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout);
  go_on.set_value();
  publisher.join();
  CHECK(raised.get());
}
