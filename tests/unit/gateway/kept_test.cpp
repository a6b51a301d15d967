#include "services/gateway/kept.hpp"

#include <catch2/catch.hpp>

#include "tests/support/scratch.hpp"

namespace lockstep::gateway {
namespace {

constexpr const char* kFirst = "0193a5f0-1234-7abc-8def-000000000001";
constexpr const char* kSecond = "0193a5f0-1234-7abc-8def-000000000002";

std::unique_ptr<journal::Journal> open_journal(const std::string& directory, const Clock& clock) {
  journal::OpenOptions options;
  options.path = directory + "/gateway.db";
  options.source = "gateway";
  options.migrations = migrations();
  auto opened = journal::open(options, clock);
  REQUIRE(opened);
  return std::move(opened).value();
}

Arrival arrival(const std::string& incarnation, std::uint64_t sequence, bool after_gap = false) {
  return {"policy", incarnation, sequence, after_gap, "a.b/c", std::to_string(sequence)};
}

TEST_CASE("what is kept is there again after a restart, in order") {
  const test::Scratch scratch;
  const auto clock = make_system_clock();
  {
    const auto journal = open_journal(scratch.path(), *clock);
    auto kept = Kept::load(*journal, 1000);
    REQUIRE(kept);
    REQUIRE(kept->add({arrival(kFirst, 1), arrival(kFirst, 2), arrival(kFirst, 3)}));
  }
  const auto journal = open_journal(scratch.path(), *clock);
  const auto kept = Kept::load(*journal, 1000);
  REQUIRE(kept);
  const auto& range = kept->sources().at("policy");
  CHECK(range.incarnation == kFirst);
  CHECK(range.first == 1);
  CHECK(range.last == 3);
  CHECK(*kept->after("policy", 1, 10, 1000) == std::vector<std::string>{"2", "3"});
  CHECK(*kept->after("policy", 0, 10, 1) == std::vector<std::string>{"1"});
}

TEST_CASE("a gap and another incarnation begin anew: what is kept has no hole") {
  const test::Scratch scratch;
  const auto clock = make_system_clock();
  const auto journal = open_journal(scratch.path(), *clock);
  auto kept = Kept::load(*journal, 1000);
  REQUIRE(kept);
  REQUIRE(kept->add({arrival(kFirst, 1), arrival(kFirst, 2)}));
  REQUIRE(kept->add({arrival(kFirst, 9, true), arrival(kFirst, 10)}));
  CHECK(kept->sources().at("policy").first == 9);
  CHECK(kept->after("policy", 0, 10, 1000)->size() == 2);
  REQUIRE(kept->add({arrival(kSecond, 1), arrival(kSecond, 2), arrival(kSecond, 3)}));
  CHECK(kept->sources().at("policy").incarnation == kSecond);
  CHECK(kept->sources().at("policy").first == 1);
  CHECK(kept->after("policy", 0, 10, 1000)->size() == 3);
}

TEST_CASE("the range is bounded: the oldest go first") {
  const test::Scratch scratch;
  const auto clock = make_system_clock();
  const auto journal = open_journal(scratch.path(), *clock);
  auto kept = Kept::load(*journal, 1000);
  REQUIRE(kept);
  for (std::uint64_t block = 0; block < 30; ++block) {
    std::vector<Arrival> some;
    for (std::uint64_t i = 1; i <= 100; ++i) some.push_back(arrival(kFirst, block * 100 + i));
    REQUIRE(kept->add(some));
  }
  const auto& range = kept->sources().at("policy");
  CHECK(range.last == 3000);
  CHECK(range.first > 1700);
  CHECK(range.first <= 2001);
  CHECK(kept->after("policy", 0, 5000, 1 << 20)->size() == range.last - range.first + 1);
}

}  // namespace
}  // namespace lockstep::gateway
