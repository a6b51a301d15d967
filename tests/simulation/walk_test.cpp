// Every state that the small model can reach, up to a bound of mishaps (crashes, leases that run
// out, messages lost, repeated or given up, a raised epoch, an abort: all of them count) and of
// retries: two and one, two and two with LOCKSTEP_TEST_FULL=1 (LOCKSTEP_MISHAPS and
// LOCKSTEP_RETRIES set others). The walk ends when nothing is left to look at.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <functional>
#include <iostream>
#include <unordered_map>

#include "tests/simulation/small_model.hpp"

using lockstep::simulation::SmallModel;

namespace {

int bound(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoi(text);
}

bool full() {
  const char* text = std::getenv("LOCKSTEP_TEST_FULL");
  return text != nullptr && std::string(text) == "1";
}

struct Seen {
  std::size_t from = 0;  // the state before
  std::string by;        // what led here
};

}  // namespace

TEST_CASE("no order of messages and mishaps breaks an invariant of one run with two members") {
  const int mishaps = bound("LOCKSTEP_MISHAPS", 2);
  const int retries = bound("LOCKSTEP_RETRIES", full() ? 2 : 1);
  std::unordered_map<std::string, std::size_t> known;
  std::vector<Seen> seen;
  std::deque<std::pair<std::size_t, SmallModel>> frontier;
  std::map<std::string, int> ended;
  const auto meet = [&](std::size_t from, std::string by, SmallModel state) {
    const auto [at, fresh] = known.emplace(state.key(), seen.size());
    if (!fresh) return;
    seen.push_back({from, std::move(by)});
    if (const std::string broken = state.broken(); !broken.empty()) {
      std::vector<std::string> story;
      for (std::size_t i = seen.size() - 1; i != 0; i = seen[i].from) story.push_back(seen[i].by);
      for (auto line = story.rbegin(); line != story.rend(); ++line) std::cout << *line << "\n";
      FAIL(broken);
    }
    if (state.quiet()) ++ended[lockstep::run::phase_name(state.control.phase)];
    frontier.emplace_back(at->second, std::move(state));
  };
  meet(0, "it begins", SmallModel());
  std::size_t steps = 0;
  while (!frontier.empty()) {
    const auto [number, state] = std::move(frontier.front());
    frontier.pop_front();
    for (auto& next : state.next(mishaps, retries)) {
      ++steps;
      meet(number, std::move(next.name), std::move(next.state));
    }
  }
  std::cout << seen.size() << " states, " << steps << " steps, at most " << mishaps
            << " mishaps and " << retries << " retries; quiet:";
  for (const auto& [phase, count] : ended) std::cout << " " << phase << " " << count;
  std::cout << "\n";
  for (const char* phase : {"complete", "failed", "aborted"}) CHECK(ended[phase] > 0);
}
