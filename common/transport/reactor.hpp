// Reactor: the one thread of a service that owns its sockets; everything that decides runs on it.
//
// Thread rule: all members on the reactor's thread, except post() and stop(), which any thread may
// call. Work that blocks (pins, transfers) runs on threads of the service's own and comes back by
// post().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "common/clock/clock.hpp"

namespace lockstep::transport {

class Reactor {
 public:
  using Task = std::function<void()>;
  using TimerId = std::uint64_t;

  virtual ~Reactor() = default;
  virtual void post(Task task) = 0;
  virtual TimerId after(Nanos delay, Task task) = 0;
  virtual TimerId every(Nanos period, Task task) = 0;
  virtual void cancel(TimerId timer) = 0;
  // Runs until stop(); SIGTERM and SIGINT do the same where `handle_signals` was asked for.
  virtual void run() = 0;
  virtual void stop() = 0;
};

// One ZeroMQ context a process lies behind it.
std::unique_ptr<Reactor> make_reactor(const Clock& clock, bool handle_signals);

}  // namespace lockstep::transport
