// RebootedClock: the machine's clock under a boot id of the test's choosing, so that what follows a
// loss of power runs in another boot than what came before it.
#pragma once

#include <memory>
#include <string>

#include "common/clock/clock.hpp"

namespace lockstep::test {

class RebootedClock final : public Clock {
 public:
  explicit RebootedClock(std::string boot_id) : boot_id_(std::move(boot_id)) {}

  UtcNanos utc() const override { return clock_->utc(); }
  MonoNanos mono() const override { return clock_->mono(); }
  Wake wait_until(UtcNanos instant, std::stop_token stop) const override {
    return clock_->wait_until(instant, stop);
  }
  Wake wait_for(Nanos span, std::stop_token stop) const override {
    return clock_->wait_for(span, stop);
  }
  Quality quality() const override {
    Quality quality = clock_->quality();
    quality.boot_id = boot_id_;
    return quality;
  }

 private:
  std::unique_ptr<Clock> clock_ = make_system_clock();
  std::string boot_id_;
};

}  // namespace lockstep::test
