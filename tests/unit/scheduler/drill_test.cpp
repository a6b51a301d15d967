// When drills are due, and what the scheduler's journal keeps of them.
#include <catch2/catch.hpp>

#include "services/scheduler/drill_book.hpp"
#include "services/scheduler/drill_time.hpp"
#include "services/scheduler/store.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;
using namespace lockstep::scheduler;

namespace {

NextMoment every(std::int64_t period) {
  return [period](UtcNanos after) -> Result<std::optional<UtcNanos>> {
    const std::int64_t span = seconds(period).count;
    return std::optional<UtcNanos>{UtcNanos{(after.count / span + 1) * span}};
  };
}

NextMoment never() {
  return [](UtcNanos) -> Result<std::optional<UtcNanos>> { return std::optional<UtcNanos>{}; };
}

UtcNanos at(std::int64_t second) { return UtcNanos{} + seconds(second); }

DrillStep step(std::int64_t considered, std::int64_t now, bool catch_up) {
  const auto found = drill_step(every(1000), at(considered), at(now), catch_up);
  REQUIRE(found);
  return *found;
}

}  // namespace

TEST_CASE("a drill begins when its moment has come, and not before") {
  const DrillStep before = step(0, 999, true);
  CHECK(before.what == DrillStep::What::nothing);
  CHECK(before.look_again == at(1000));
  for (const bool catch_up : {true, false}) {
    const DrillStep now = step(0, 1000, catch_up);
    CHECK(now.what == DrillStep::What::begin);
    CHECK(now.moment == at(1000));
    CHECK(step(1000, 1001, catch_up).what == DrillStep::What::nothing);
  }
}

TEST_CASE("of drills whose moments passed while nothing ran the newest is caught up or missed") {
  CHECK(step(0, 5060, false).what == DrillStep::What::begin);  // a minute late: on time
  const DrillStep caught = step(0, 5061, true);
  CHECK(caught.what == DrillStep::What::begin);
  CHECK(caught.moment == at(5000));
  const DrillStep missed = step(0, 5061, false);
  CHECK(missed.what == DrillStep::What::missed);
  CHECK(missed.moment == at(5000));
}

TEST_CASE("a schedule that never fires again asks for nothing") {
  const auto found = drill_step(never(), at(0), at(5000), true);
  REQUIRE(found);
  CHECK(found->what == DrillStep::What::nothing);
  CHECK_FALSE(found->look_again);
}

TEST_CASE("a drill that gets no answer is given up when the next one's moment has come") {
  CHECK_FALSE(*drill_overtaken(every(1000), at(1000), at(1999)));
  CHECK(*drill_overtaken(every(1000), at(1000), at(2000)));
  CHECK_FALSE(*drill_overtaken(never(), at(1000), at(1000 + 86400)));
  CHECK(*drill_overtaken(never(), at(1000), at(1001 + 86400)));
}

TEST_CASE("how old the last good drill may be counts from the first asking where there is none") {
  CHECK(drill_met(Nanos{0}, at(0), std::nullopt, at(1'000'000)));
  CHECK(drill_met(seconds(100), at(0), std::nullopt, at(100)));
  CHECK_FALSE(drill_met(seconds(100), at(0), std::nullopt, at(101)));
  CHECK(drill_met(seconds(100), at(0), at(50), at(150)));
  CHECK_FALSE(drill_met(seconds(100), at(0), at(50), at(151)));
  // A drill that was made before the policy asked for any does not become younger by that.
  CHECK_FALSE(drill_met(seconds(100), at(1000), at(50), at(1001)));
}

namespace {

struct Bench {
  Bench() : clock(make_system_clock()) { open(); }
  void open() {
    journal.reset();
    journal::OpenOptions options;
    options.path = scratch / "scheduler.db";
    options.source = "scheduler";
    options.migrations = store_migrations();
    auto opened = journal::open(options, *clock);
    REQUIRE(opened);
    journal = std::move(opened).value();
  }

  test::Scratch scratch;
  std::unique_ptr<Clock> clock;
  std::unique_ptr<journal::Journal> journal;
};

message::Body drill(int number, const std::string& outcome) {
  const std::string id = "0193a5f0-1234-7abc-8def-00000000000" + std::to_string(number);
  return {{"drill", id},
          {"service", "orders"},
          {"point", id},
          {"moment", to_rfc3339(at(1))},
          {"started_at", to_rfc3339(at(number))},
          {"ended_at", to_rfc3339(at(number + 1))},
          {"outcome", outcome},
          {"said", "much"}};
}

}  // namespace

TEST_CASE("a drill that was wished for is found again after a start, byte for byte") {
  Bench bench;
  const message::Body check =
      message::Body::array({"/bin/sh", message::Body::binary({0x2f, 0xff})});
  const DrillWish wish{"orders", at(1000), "south", {{"drill", "one"}, {"check", check}}};
  REQUIRE(DrillBook{*bench.journal}.begin(wish));
  bench.open();
  DrillBook book{*bench.journal};
  const auto found = book.wishes();
  REQUIRE(found);
  REQUIRE(found->size() == 1);
  CHECK(found->front().body == wish.body);
  CHECK(found->front().cluster == "south");
  CHECK(found->front().scheduled == at(1000));
  CHECK(book.schedule("orders")->value().considered == at(1000));

  REQUIRE(book.end(wish, drill(1, "good")));
  CHECK(book.wishes()->empty());
  CHECK(book.last("orders")->good->at("outcome") == "good");
}

TEST_CASE("a drill that is missed is told once, with the reason, and never asked for again") {
  Bench bench;
  DrillBook book{*bench.journal};
  REQUIRE(book.consider("orders", at(5)));
  const DrillWish wish{"orders", at(1000), "south", {{"drill", "one"}}};
  REQUIRE(book.begin(wish));
  REQUIRE(book.missed("orders", at(1000), "one", make_error(ErrorCode::point_missing, "gone")));
  CHECK(book.wishes()->empty());
  CHECK(book.schedule("orders")->value().since == at(5));
  CHECK(book.schedule("orders")->value().considered == at(1000));
  const auto events = bench.journal->events_after(0, 10);
  REQUIRE(events);
  REQUIRE(events->size() == 1);
  CHECK(events->front().type == "drill.missed");
  CHECK(message::check_schema("events/drill.missed", events->front().data));

  // A policy that asks for drills no more, and then again, begins anew.
  REQUIRE(book.keep_only({}));
  CHECK_FALSE(book.schedule("orders")->has_value());
}

TEST_CASE("of what registrars tell, the newest and the newest good drill of a service are kept") {
  Bench bench;
  DrillBook book{*bench.journal};
  REQUIRE(book.learn(message::Body::array(
      {drill(5, "check-failed"), drill(4, "interrupted"), drill(3, "good"), drill(2, "good")})));
  auto last = book.last("orders");
  REQUIRE(last);
  CHECK(last->any->at("outcome") == "check-failed");
  CHECK_FALSE(last->any->contains("said"));
  CHECK(last->good->at("started_at") == to_rfc3339(at(3)));
  // What is older than what is known changes nothing.
  REQUIRE(book.learn(message::Body::array({drill(1, "good")})));
  CHECK(book.last("orders")->good->at("started_at") == to_rfc3339(at(3)));
  REQUIRE(book.learn(message::Body::array({drill(6, "good")})));
  CHECK(book.last("orders")->any->at("outcome") == "good");
  CHECK_FALSE(book.last("other")->any);
}
