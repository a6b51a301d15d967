// Loop: the Reactor as the parts of transport see it: with sockets to watch.
//
// Thread rule: the reactor's thread, except where Reactor says otherwise.
#pragma once

#include <memory>

#include "common/transport/context.hpp"
#include "common/transport/reactor.hpp"

namespace lockstep::transport {

class Loop : public Reactor {
 public:
  using WatchId = std::uint64_t;

  // `ready` is called while `socket` has something to receive; it should take a bounded number of
  // messages a call. unwatch() comes before the socket is closed; it may be called from `ready`.
  virtual WatchId watch(void* socket, Task ready) = 0;
  virtual void unwatch(WatchId watch) = 0;
  virtual bool watched(WatchId watch) const = 0;
  // Between the start of run() and its end. Any thread.
  virtual bool running() const = 0;
  virtual const std::shared_ptr<Context>& context() const = 0;
};

// Every Reactor of this project is a Loop.
Loop& loop_of(Reactor& reactor);

}  // namespace lockstep::transport
