#include "services/gateway/behaviour.hpp"

#include <catch2/catch.hpp>

namespace lockstep::gateway {
namespace {

MonoNanos at(std::int64_t ms) { return {ms * 1'000'000}; }

Sample unsent(std::uint64_t bytes) {
  Sample out;
  out.unsent = bytes;
  return out;
}

TEST_CASE("a subscriber that takes everything is neither slow nor frozen, however long it lives") {
  Behaviour one;
  for (int i = 0; i < 100; ++i) one.look(at(i * 1000), unsent(0));
  CHECK_FALSE(one.slow());
  CHECK_FALSE(one.frozen());
  CHECK_FALSE(one.flooding());
}

TEST_CASE(
    "one that is behind and still takes something is slow, and no longer when it has caught up") {
  Behaviour one;
  std::uint64_t left = 100'000;
  for (int i = 0; i < 60; ++i) one.look(at(i * 100), unsent(left -= 100));
  CHECK(one.slow());
  CHECK_FALSE(one.frozen());
  one.look(at(6000), unsent(0));
  CHECK_FALSE(one.slow());
}

TEST_CASE("one that takes nothing is frozen after three and a half seconds, and not slow then") {
  Behaviour one;
  one.look(at(0), unsent(500));
  one.look(at(3400), unsent(900));
  CHECK_FALSE(one.frozen());
  one.look(at(3600), unsent(900));
  CHECK(one.frozen());
  CHECK_FALSE(one.slow());
}

TEST_CASE("one that takes nothing for seven seconds is stuck, however much more there is for it") {
  Behaviour one;
  for (int i = 0; i < 70; ++i) one.look(at(i * 100), unsent(500 + static_cast<std::uint64_t>(i)));
  CHECK_FALSE(one.stuck());
  one.look(at(7000), unsent(600));
  CHECK(one.stuck());
  CHECK(one.frozen());
}

TEST_CASE(
    "over TCP one that says nothing though it is asked is frozen, though the kernel took all") {
  Behaviour one;
  Sample sample;
  sample.received = 100;
  sample.silent = milliseconds(3600);
  one.look(at(0), sample);
  CHECK(one.frozen());
}

TEST_CASE("one that sends more than 256 KiB in ten seconds floods; the same over a day does not") {
  Sample sample;
  Behaviour day;
  for (int i = 0; i < 100; ++i) {
    sample.received = static_cast<std::uint64_t>(i) * 20'000;
    day.look(at(i * 11'000), sample);
  }
  CHECK_FALSE(day.flooding());
  Behaviour burst;
  sample.received = 0;
  burst.look(at(0), sample);
  sample.received = 300'000;
  burst.look(at(100), sample);
  CHECK(burst.flooding());
}

TEST_CASE("one whose bytes are never all read floods, where the kernel does not count them") {
  Behaviour one;
  Sample sample;
  sample.unread = 100'000;
  for (int i = 0; i < 9; ++i) one.look(at(i * 25), sample);
  CHECK_FALSE(one.flooding());
  one.look(at(225), sample);
  CHECK(one.flooding());
}

}  // namespace
}  // namespace lockstep::gateway
