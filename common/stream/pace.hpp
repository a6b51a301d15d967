// Pace: keeps what is sent below so many bytes a second.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>

#include "common/clock/moment.hpp"

namespace lockstep::stream {

class Pace {
 public:
  explicit Pace(std::uint64_t bytes_per_second) : rate_(bytes_per_second) {}

  bool limited() const { return rate_ > 0; }
  // How long to wait before anything more is sent.
  Nanos wait(MonoNanos now) const { return rate_ == 0 || next_ <= now ? Nanos{0} : next_ - now; }
  void sent(std::uint64_t bytes, MonoNanos now) {
    if (rate_ == 0) return;
    // What was not used is lost: after a pause nothing is made up for.
    if (next_ < now) next_ = now;
    const double span = static_cast<double>(bytes) / static_cast<double>(rate_) * 1e9;
    next_ = next_ + Nanos{static_cast<std::int64_t>(span)};
  }

 private:
  std::uint64_t rate_;
  MonoNanos next_{};
};

}  // namespace lockstep::stream
