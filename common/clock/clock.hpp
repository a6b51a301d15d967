// Clock: the only way in which services, stream and journal learn the time or wait for it, so that
// a test can put another clock in its place.
//
// Thread rule: every member may be called from any thread.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "common/clock/moment.hpp"

namespace lockstep {

class Clock {
 public:
  virtual ~Clock() = default;

  virtual UtcNanos utc() const = 0;
  virtual MonoNanos mono() const = 0;

  enum class Wake {
    reached,  // the instant has come (or had passed)
    stepped,  // CLOCK_REALTIME was set meanwhile: look again (timerfd_create(2), CANCEL_ON_SET)
    stopped,  // `stop` was requested
  };
  virtual Wake wait_until(UtcNanos instant, std::stop_token stop) const = 0;
  virtual Wake wait_for(Nanos span, std::stop_token stop) const = 0;

  // REALTIME minus MONOTONIC. It moves only when somebody sets or slews the clock: compared at arm,
  // request and acknowledgement to notice a step between them.
  Nanos realtime_offset() const;

  // What the kernel says of its own clock (adjtimex(2)).
  struct Quality {
    bool synchronised = false;
    Nanos max_error;      // of the kernel (maxerror)
    std::string boot_id;  // /proc/sys/kernel/random/boot_id: parts with one id share a clock
  };
  virtual Quality quality() const = 0;
};

// The machine's own clock.
std::unique_ptr<Clock> make_system_clock();

}  // namespace lockstep
