// The run logic and the timetable under thousands of seeded misfortunes.
//
// LOCKSTEP_SEEDS=N lives through N seeds (default 10000, with LOCKSTEP_TEST_FULL=1 100000);
// LOCKSTEP_SEED=N through that one, and prints its story whatever comes of it.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <iostream>
#include <string>

#include "tests/simulation/seed.hpp"

using lockstep::simulation::live;
using lockstep::simulation::Outcome;

namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

void print(std::uint64_t seed, const Outcome& outcome) {
  std::cout << "\nseed " << seed << " (LOCKSTEP_SEED=" << seed << " replays it)\n";
  for (const std::string& line : outcome.story) std::cout << "  " << line << "\n";
  for (const std::string& line : outcome.violations) std::cout << "  BROKEN: " << line << "\n";
}

}  // namespace

TEST_CASE("every run ends, no point is partial, nothing is left behind, whatever dies when") {
  if (const auto seed = from_environment("LOCKSTEP_SEED", 0); seed != 0) {
    const Outcome outcome = live(seed, true);
    print(seed, outcome);
    CHECK(outcome.violations.empty());
    return;
  }
  const bool full = from_environment("LOCKSTEP_TEST_FULL", 0) == 1;
  const auto seeds = from_environment("LOCKSTEP_SEEDS", full ? 100'000 : 10'000);
  std::map<std::string, int> ended;
  int points = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const Outcome outcome = live(seed, false);
    if (!outcome.violations.empty()) {
      print(seed, live(seed, true));
      FAIL("seed " << seed << ": " << outcome.violations.front());
    }
    points += outcome.points;
    for (const auto& [name, count] : outcome.ended) ended[name] += count;
  }
  std::cout << seeds << " seeds, " << points << " points;";
  for (const auto& [name, count] : ended) std::cout << " " << name << " " << count;
  std::cout << "\n";
  // The misfortunes are real: every kind of end was reached, and most runs still came through.
  for (const char* name : {"complete", "failed", "aborted", "missed", "judge-clock", "fence-failed",
                           "pin-failed", "pin-expired", "max-pending", "deadline", "no-space",
                           "epoch-old", "seal-refused", "pruned"})
    CHECK(ended[name] > 0);
  CHECK(ended["complete"] > 1000);
}

TEST_CASE("a seed is lived through the same way twice") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    CHECK(live(seed, true).story == live(seed, true).story);
}
