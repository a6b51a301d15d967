#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>

#include "common/clock/clock.hpp"
#include "common/os/fd.hpp"

namespace lockstep {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t read_clock(clockid_t which) {
  ::timespec time{};
  ::clock_gettime(which, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}

::itimerspec at(std::int64_t nanos) {
  // All zeros would disarm it: an instant before 1970, or a span of nothing, is over already.
  if (nanos < 1) nanos = 1;
  ::itimerspec out{};
  out.it_value = {nanos / kSecond, nanos % kSecond};
  return out;
}

Clock::Wake wait_on(clockid_t which, int set_flags, std::int64_t nanos,
                    const std::stop_token& stop) {
  if (stop.stop_requested()) return Clock::Wake::stopped;
  const os::Fd timer{::timerfd_create(which, TFD_CLOEXEC | TFD_NONBLOCK)};
  const os::Fd stopped{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  // Nothing sensible can go on in a process that has no descriptors left, and no caller of a wait
  // could do anything about it.
  if (!timer || !stopped) std::abort();
  const ::itimerspec when = at(nanos);
  if (::timerfd_settime(timer.get(), set_flags, &when, nullptr) != 0) std::abort();
  const std::stop_callback wake(stop, [&] { ::eventfd_write(stopped.get(), 1); });
  for (;;) {
    std::array<::pollfd, 2> wanted{{{timer.get(), POLLIN, 0}, {stopped.get(), POLLIN, 0}}};
    if (::poll(wanted.data(), wanted.size(), -1) < 0 && errno != EINTR) std::abort();
    if (stop.stop_requested()) return Clock::Wake::stopped;
    std::uint64_t expirations = 0;
    if (::read(timer.get(), &expirations, sizeof(expirations)) > 0) return Clock::Wake::reached;
    if (errno == ECANCELED) return Clock::Wake::stepped;
  }
}

class SystemClock final : public Clock {
 public:
  UtcNanos utc() const override { return {read_clock(CLOCK_REALTIME)}; }
  MonoNanos mono() const override { return {read_clock(CLOCK_MONOTONIC)}; }

  Wake wait_until(UtcNanos instant, std::stop_token stop) const override {
    return wait_on(CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, instant.count,
                   stop);
  }

  Wake wait_for(Nanos span, std::stop_token stop) const override {
    return wait_on(CLOCK_MONOTONIC, 0, span.count, stop);
  }

  Quality quality() const override {
    ::timex state{};
    const int answer = ::ntp_adjtime(&state);  // modes 0: only asks
    Quality out;
    out.synchronised = answer >= 0 && answer != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
    out.max_error = {state.maxerror * 1000};
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::getline(file, out.boot_id);
    return out;
  }
};

}  // namespace

Nanos Clock::realtime_offset() const {
  // The tightest of a few brackets: being descheduled between the readings is not a step.
  Nanos best{};
  std::int64_t width = INT64_MAX;
  for (int i = 0; i < 5; ++i) {
    const MonoNanos before = mono();
    const UtcNanos middle = utc();
    const MonoNanos after = mono();
    if ((after - before).count < width) {
      width = (after - before).count;
      best = {middle.count - (before.count + width / 2)};
    }
  }
  return best;
}

std::unique_ptr<Clock> make_system_clock() { return std::make_unique<SystemClock>(); }

}  // namespace lockstep
