// One seed: a world is made by chance, lived through, and held against the invariants.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lockstep::simulation {

struct Outcome {
  std::vector<std::string> violations;
  std::vector<std::string> story;    // only where asked for
  std::map<std::string, int> ended;  // terminal state, or error code: how many runs
  int points = 0;
};

Outcome live(std::uint64_t seed, bool telling);

}  // namespace lockstep::simulation
