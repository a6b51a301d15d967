#include "tests/simulation/world.hpp"

#include <algorithm>

namespace lockstep::simulation {

void World::at(Instant instant, std::function<void()> happening) {
  coming_.emplace(std::max(instant, now_), std::move(happening));
}

bool World::run(Instant limit) {
  constexpr int kMost =
      500'000;  // of what happens in one seed: beyond it something turns in circles
  for (int happened = 0; !coming_.empty(); ++happened) {
    const auto next = coming_.begin();
    if (next->first > limit || happened == kMost) return false;
    now_ = next->first;
    const auto happening = std::move(next->second);
    coming_.erase(next);
    happening();
    if (!violations.empty()) return true;
  }
  return true;
}

void World::tell(const std::string& who, const std::string& what) {
  if (!telling_) return;
  const auto us = (now_ - 1'800'000'000 * kSecond) / 1000;
  std::string micros = std::to_string(us % 1'000'000);
  micros.insert(0, 6 - micros.size(), '0');
  story.push_back(std::to_string(us / 1'000'000) + "." + micros + "  " + who + ": " + what);
}

void World::violated(const std::string& what) {
  tell("INVARIANT", what);
  violations.push_back(what);
}

}  // namespace lockstep::simulation
