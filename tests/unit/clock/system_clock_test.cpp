#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "common/clock/clock.hpp"

using namespace lockstep;
using namespace std::chrono_literals;

TEST_CASE("waiting reaches its instant and not before") {
  const auto clock = make_system_clock();
  const UtcNanos wanted = clock->utc() + milliseconds(60);
  CHECK(clock->wait_until(wanted, {}) == Clock::Wake::reached);
  CHECK(clock->utc() >= wanted);
  CHECK((clock->utc() - wanted) < seconds(5));
  const MonoNanos begin = clock->mono();
  CHECK(clock->wait_for(milliseconds(40), {}) == Clock::Wake::reached);
  CHECK((clock->mono() - begin) >= milliseconds(40));
}

TEST_CASE("an instant that has passed is reached at once, even before 1970") {
  const auto clock = make_system_clock();
  CHECK(clock->wait_until(clock->utc() - seconds(1), {}) == Clock::Wake::reached);
  CHECK(clock->wait_until({-5}, {}) == Clock::Wake::reached);
  CHECK(clock->wait_for({0}, {}) == Clock::Wake::reached);
  CHECK(clock->wait_for({-7}, {}) == Clock::Wake::reached);
}

TEST_CASE("a stop ends a wait, also one asked for before") {
  const auto clock = make_system_clock();
  std::stop_source stop;
  std::jthread later([&] {
    std::this_thread::sleep_for(50ms);
    stop.request_stop();
  });
  const MonoNanos begin = clock->mono();
  CHECK(clock->wait_for(seconds(600), stop.get_token()) == Clock::Wake::stopped);
  CHECK(clock->wait_until(clock->utc() + seconds(600), stop.get_token()) == Clock::Wake::stopped);
  CHECK((clock->mono() - begin) < seconds(10));
}

TEST_CASE("the offset between the clocks is steady while nobody sets one") {
  const auto clock = make_system_clock();
  const Nanos first = clock->realtime_offset();
  std::this_thread::sleep_for(20ms);
  CHECK(std::llabs((clock->realtime_offset() - first).count) < milliseconds(5).count);
}

TEST_CASE("the kernel's judgement of its clock") {
  const auto quality = make_system_clock()->quality();
  CHECK(quality.boot_id.size() == 36);
  CHECK(quality.max_error.count >= 0);
}
