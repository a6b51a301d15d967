// Events: an outbox row in the same transaction as the change it tells of; PUB is the fast path,
// "events.since" on the ROUTER the replay, the heartbeat carries the last sequence
// (docs/protocol.md).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/journal/journal.hpp"
#include "common/transport/peer.hpp"
#include "common/transport/reactor.hpp"
#include "common/transport/server.hpp"

namespace lockstep::transport {

// Publishes what the journal's outbox holds and answers `events.since` on `server`.
// Thread rule: the reactor's thread.
class EventPublisher {
 public:
  virtual ~EventPublisher() = default;
  // Call after a transaction that emitted events; it sends what has not been sent yet.
  virtual void flush() = 0;
};
// `snapshot`: the service's state, given with a gap answer.
Result<std::unique_ptr<EventPublisher>> make_event_publisher(
    Reactor& reactor, const Directory& directory, const Clock& clock, journal::Journal& journal,
    Server& server, std::function<message::Body()> snapshot);

// Follows one service's events: subscribes first, asks for the backlog, drops what it has seen, and
// replays on every gap (ZeroMQ guide, Clone pattern). Every event comes once and in order.
// Thread rule: the reactor's thread.
class EventFollower {
 public:
  virtual ~EventFollower() = default;
  virtual std::uint64_t last_sequence() const = 0;
};
using OnEvent = std::function<void(const journal::Event&)>;
std::unique_ptr<EventFollower> make_event_follower(Reactor& reactor, const Directory& directory,
                                                   const Clock& clock, const std::string& service,
                                                   std::uint64_t after_sequence, OnEvent on_event);

}  // namespace lockstep::transport
