#include "common/transport/events.hpp"

#include <catch2/catch.hpp>

#include "common/message/uuid.hpp"
#include "common/transport/loop.hpp"
#include "common/transport/sockets.hpp"
#include "common/transport/wire.hpp"
#include "tests/unit/transport/small_site.hpp"

using namespace lockstep;
using namespace lockstep::transport;
using message::Body;

namespace {

// A service that only publishes, and may be stopped and started again.
struct Source {
  Source(SmallSite& site, Reactor& reactor, const Clock& clock, std::size_t keep = 100000)
      : site_(site), reactor_(reactor), clock_(clock), keep_(keep) {
    start();
  }
  void start() {
    journal::OpenOptions options;
    options.path = (site_.folder() / file).string();
    options.source = "scheduler";
    options.keep_events = keep_;
    auto opened = journal::open(options, clock_);
    REQUIRE(opened.has_value());
    journal = std::move(opened).value();
    auto made = make_server(reactor_, site_.directory("scheduler"), clock_);
    REQUIRE(made.has_value());
    server = std::move(made).value();
    auto publishing =
        make_event_publisher(reactor_, site_.directory("scheduler"), clock_, *journal, *server, [] {
          return Body{{"state", "whole"}};
        });
    REQUIRE(publishing.has_value());
    publisher = std::move(publishing).value();
  }
  void stop() {
    publisher.reset();
    server.reset();
    journal.reset();
  }
  void emit(int count, bool flush = true) {
    REQUIRE(journal
                ->transact("test",
                           [&](journal::Transaction& transaction) -> Result<void> {
                             for (int i = 0; i < count; ++i) {
                               transaction.emit("policy.paused", "orders",
                                                {{"service", "orders"}, {"by", "user"}});
                             }
                             return {};
                           })
                .has_value());
    if (flush) publisher->flush();
  }

  std::string file = "scheduler.db";
  std::unique_ptr<journal::Journal> journal;
  std::unique_ptr<Server> server;
  std::unique_ptr<EventPublisher> publisher;

 private:
  SmallSite& site_;
  Reactor& reactor_;
  const Clock& clock_;
  std::size_t keep_;
};

struct Listener {
  Listener(SmallSite& site, Reactor& reactor, const Clock& clock, const FollowFrom& from = {})
      : follower(make_event_follower(
            reactor, site.directory("watcher"), clock, "scheduler", from,
            [this](const journal::Event& event) { seen.push_back(event.sequence); },
            [this](const Body& state) { gaps.push_back(state); })) {}
  std::vector<std::uint64_t> seen;
  std::vector<Body> gaps;
  std::unique_ptr<EventFollower> follower;
};

std::vector<std::uint64_t> from_to(std::uint64_t first, std::uint64_t last) {
  std::vector<std::uint64_t> out;
  for (auto i = first; i <= last; ++i) out.push_back(i);
  return out;
}

}  // namespace

TEST_CASE("events come once and in order: the backlog, then live ones") {
  for (const bool with_keys : {false, true}) {
    SmallSite site(with_keys);
    const auto clock = make_system_clock();
    const auto reactor = make_reactor(*clock, false);
    Source source(site, *reactor, *clock);
    source.emit(2500);
    Listener listener(site, *reactor, *clock);
    int rounds = 0;
    const auto timer = reactor->every(milliseconds(5), [&] {
      if (++rounds <= 40) source.emit(5);
    });
    CHECK(run_until(*reactor, *clock, [&] { return listener.seen.size() >= 2700; }));
    reactor->cancel(timer);
    CHECK(listener.seen == from_to(1, 2700));
    CHECK(listener.gaps.empty());
    CHECK(listener.follower->last_sequence() == 2700);
    CHECK(listener.follower->incarnation() == source.journal->incarnation());
  }
}

TEST_CASE("an event that PUB never carried shows by the heartbeat") {
  SmallSite site(false);
  const auto clock = make_system_clock();
  const auto reactor = make_reactor(*clock, false);
  Source source(site, *reactor, *clock);
  Listener listener(site, *reactor, *clock);
  source.emit(1);
  REQUIRE(run_until(*reactor, *clock, [&] { return listener.seen.size() == 1; }));
  source.emit(3, false);
  CHECK(run_until(*reactor, *clock, [&] { return listener.seen.size() == 4; }));
}

TEST_CASE("a burst beyond every queue reaches a subscriber that was slow") {
  SmallSite site(false);
  const auto clock = make_system_clock();
  const auto reactor = make_reactor(*clock, false);
  Source source(site, *reactor, *clock);
  Listener listener(site, *reactor, *clock);
  source.emit(1);
  REQUIRE(run_until(*reactor, *clock, [&] { return listener.seen.size() == 1; }));
  // Nobody reads meanwhile: PUB drops what does not fit.
  for (int i = 0; i < 25; ++i) source.emit(1000);
  for (int i = 0; i < 5 && listener.seen.size() < 25001; ++i) {
    run_until(*reactor, *clock, [&] { return listener.seen.size() >= 25001; });
  }
  CHECK(listener.seen.size() == 25001);
  CHECK((listener.seen == from_to(1, 25001)));
}

TEST_CASE("a subscriber goes on where it was, over a restart of the service and of its own") {
  SmallSite site(false);
  const auto clock = make_system_clock();
  const auto reactor = make_reactor(*clock, false);
  Source source(site, *reactor, *clock);
  source.emit(10);
  std::string incarnation;
  {
    Listener listener(site, *reactor, *clock);
    REQUIRE(run_until(*reactor, *clock, [&] { return listener.seen.size() == 10; }));
    source.stop();
    source.start();
    source.emit(5);
    CHECK(run_until(*reactor, *clock, [&] { return listener.seen.size() == 15; }));
    CHECK(listener.seen == from_to(1, 15));
    incarnation = listener.follower->incarnation();
  }
  source.emit(2);
  Listener again(site, *reactor, *clock, {15, incarnation});
  CHECK(run_until(*reactor, *clock, [&] { return again.seen.size() == 2; }));
  CHECK(again.seen == from_to(16, 17));
  CHECK(again.gaps.empty());
}

TEST_CASE("below the kept range, and in a new incarnation, the gap and the state come first") {
  SmallSite site(false);
  const auto clock = make_system_clock();
  const auto reactor = make_reactor(*clock, false);
  Source source(site, *reactor, *clock, 50);
  for (int i = 0; i < 10; ++i) source.emit(50);
  const std::uint64_t first = source.journal->first_event();
  REQUIRE(first > 1);
  Listener listener(site, *reactor, *clock);
  CHECK(run_until(*reactor, *clock, [&] { return listener.follower->last_sequence() == 500; }));
  CHECK(listener.seen == from_to(first, 500));
  REQUIRE(listener.gaps.size() == 1);
  CHECK(listener.gaps[0]["state"] == "whole");

  source.stop();
  source.file = "another.db";
  source.start();
  source.emit(3);
  CHECK(run_until(*reactor, *clock, [&] {
    return listener.gaps.size() == 2 && listener.follower->last_sequence() == 3;
  }));
  CHECK(listener.follower->incarnation() == source.journal->incarnation());
}

TEST_CASE("rubbish on the feed is not taken for events") {
  SmallSite site(false);
  const auto clock = make_system_clock();
  const auto reactor = make_reactor(*clock, false);
  Source source(site, *reactor, *clock);
  source.publisher.reset();  // its PUB gives way to one that lies
  auto publisher = make_publisher(loop_of(*reactor).context(), site.directory("scheduler"));
  REQUIRE(publisher.has_value());
  Listener listener(site, *reactor, *clock);
  int rounds = 0;
  const auto timer = reactor->every(milliseconds(5), [&] {
    ++rounds;
    send_parts(publisher->raw(), {"heartbeat", "\xdd\xff\xff\xff\xff"});
    send_parts(publisher->raw(), {"heartbeat", message::pack_body({{"source", "scheduler"}})});
    send_parts(publisher->raw(), {"policy.paused/orders", message::pack_body({{"sequence", 1}})});
    send_parts(publisher->raw(), {"a", "b", "c", "d", "e", "f"});
    send_parts(publisher->raw(), {std::string(2000, 'x')});
  });
  CHECK(run_until(*reactor, *clock, [&] { return rounds > 50; }));
  reactor->cancel(timer);
  CHECK(listener.seen.empty());
}

TEST_CASE("an event comes back from its body, and one that breaks its schema does not") {
  journal::Event event;
  event.source = "scheduler";
  event.incarnation = message::make_uuid7(UtcNanos{1});
  event.sequence = 7;
  event.type = "policy.paused";
  event.subject = "orders";
  event.time = UtcNanos{1'795'226'400'000'000'001};
  event.data = {{"service", "orders"}, {"by", "user"}};
  const Body body = event_body(event);
  CHECK(body["id"] == event.incarnation + "/7");
  const auto back = event_from_body(body);
  REQUIRE(back.has_value());
  CHECK(back->time == event.time);
  CHECK(back->data == event.data);
  Body wrong = body;
  wrong["data"]["by"] = 7;
  CHECK(event_from_body(wrong).error().where == "/by");
  wrong = body;
  wrong["subject"] = std::string(250, 'x');
  CHECK(event_from_body(wrong).error().where == "/subject");
  Body newer = body;
  newer["type"] = "moon.risen";
  newer["data"] = {{"anything", 1}};
  CHECK(event_from_body(newer).has_value());
}
