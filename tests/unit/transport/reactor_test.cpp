#include "common/transport/reactor.hpp"

#include <signal.h>

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

using namespace lockstep;
using namespace lockstep::transport;

TEST_CASE("timers fire in order, repeat, and can be cancelled") {
  const auto clock = make_system_clock();
  const auto reactor = make_reactor(*clock, false);
  std::vector<int> seen;
  int beats = 0;
  reactor->after(milliseconds(20), [&] { seen.push_back(2); });
  reactor->after(milliseconds(5), [&] { seen.push_back(1); });
  const auto never = reactor->after(milliseconds(10), [&] { seen.push_back(99); });
  reactor->cancel(never);
  Reactor::TimerId beat = 0;
  beat = reactor->every(milliseconds(3), [&] {
    if (++beats == 5) reactor->cancel(beat);
  });
  reactor->after(milliseconds(60), [&] { reactor->stop(); });
  reactor->run();
  CHECK(seen == std::vector<int>{1, 2});
  CHECK(beats == 5);
}

TEST_CASE("tasks of other threads run on the reactor's, in order") {
  const auto clock = make_system_clock();
  const auto reactor = make_reactor(*clock, false);
  std::vector<int> seen;
  std::thread::id where;
  std::thread poster([&] {
    for (int i = 0; i < 100; ++i) {
      reactor->post([&seen, &where, i] {
        seen.push_back(i);
        where = std::this_thread::get_id();
      });
    }
    reactor->post([&] { reactor->stop(); });
  });
  reactor->run();
  poster.join();
  REQUIRE(seen.size() == 100);
  CHECK(seen.front() == 0);
  CHECK(seen.back() == 99);
  CHECK(where == std::this_thread::get_id());
}

TEST_CASE("a stop before the run is not lost, and a reactor runs again") {
  const auto clock = make_system_clock();
  const auto reactor = make_reactor(*clock, false);
  reactor->stop();
  reactor->run();
  bool ran = false;
  reactor->post([&] {
    ran = true;
    reactor->stop();
  });
  reactor->run();
  CHECK(ran);
}

TEST_CASE("SIGTERM ends the run where it was asked for") {
  const auto clock = make_system_clock();
  const auto reactor = make_reactor(*clock, true);
  reactor->after(milliseconds(1), [] { ::raise(SIGTERM); });
  reactor->run();
  SUCCEED("it came back");
}
