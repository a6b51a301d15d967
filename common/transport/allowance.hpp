// Allowance: how much one may take in at this instant, where so much is granted at once and so much
// more every second. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/clock/moment.hpp"

namespace lockstep::transport {

class Allowance {
 public:
  struct Grant {
    std::size_t at_once = 0;  // bytes
    std::size_t a_second = 0;
  };

  Allowance(Grant grant, MonoNanos now) : grant_(grant), left_(grant.at_once), counted_(now) {}

  // Bytes. `now` never goes back.
  std::size_t left(MonoNanos now) {
    // A step of no whole byte is counted with the next one.
    const std::int64_t span = std::min((now - counted_).count, seconds(60).count);
    const auto grown = static_cast<std::size_t>(span / 1000) * grant_.a_second / 1'000'000;
    if (grown > 0) {
      left_ = std::min(grant_.at_once, left_ + grown);
      counted_ = now;
    }
    return left_;
  }
  // Requires: no more than is left.
  void take(std::size_t bytes) { left_ -= bytes; }

 private:
  Grant grant_;
  std::size_t left_;
  MonoNanos counted_;
};

}  // namespace lockstep::transport
