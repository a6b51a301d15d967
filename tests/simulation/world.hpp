// World: virtual time, chance and the story of one seed.
//
// Everything that happens is an event at an instant of true time; the same seed gives the same
// story. Until `heal_at` things fail; afterwards everything works, so that what was begun must end.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "services/scheduler/run/facts.hpp"

namespace lockstep::simulation {

using run::Instant;
using run::kMillisecond;
using run::kSecond;
using run::Span;

class World {
 public:
  World(std::uint64_t seed, bool telling) : chance_(seed), telling_(telling) {}

  Instant now() const { return now_; }
  void at(Instant instant, std::function<void()> happening);
  void after(Span span, std::function<void()> happening) { at(now_ + span, std::move(happening)); }
  // Until nothing is left to happen. False: still not quiet at `limit`.
  bool run(Instant limit);

  Instant heal_at = 0;
  bool healed() const { return now_ >= heal_at; }
  // True with this probability, never after healing.
  bool mishap(double probability) { return !healed() && likely(probability); }
  bool likely(double probability) {
    return std::uniform_real_distribution<>(0, 1)(chance_) < probability;
  }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(chance_);
  }

  void tell(const std::string& who, const std::string& what);
  void violated(const std::string& what);  // an invariant was broken

  std::vector<std::string> story;
  std::vector<std::string> violations;

 private:
  Instant now_ = 1'800'000'000 * kSecond;
  std::multimap<Instant, std::function<void()>> coming_;
  std::mt19937_64 chance_;
  bool telling_;
};

// A host's clock: off by less than its error, or set wrong for a while, which it then reports.
struct Host {
  std::string boot_id;
  Span off = 0;
  Span error = 0;
  bool synchronised = true;

  Instant read(const World& world) const { return world.now() + off; }
  Instant true_time(Instant shown) const { return shown - off; }
  run::HostClock report() const { return {boot_id, synchronised, error, off}; }
};

}  // namespace lockstep::simulation
