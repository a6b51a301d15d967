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

// An event as it travels: CloudEvents' names (schemas/event.json). Errors of the second:
// message-schema, for the event itself and for its data where the type is known.
message::Body event_body(const journal::Event& event);
Result<journal::Event> event_from_body(const message::Body& body);

// What is kept of a source's events. `first` 0: none is kept.
struct KeptEvents {
  std::string incarnation;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};
// From where a question "since" (its `sequence` and `incarnation`) is answered. Pure.
struct ReplayFrom {
  bool gap = false;         // what was asked for is not there: it begins with what is
  std::uint64_t after = 0;  // the events after this one
};
ReplayFrom replay_from(const KeptEvents& kept, const message::Body& asked);

// Publishes what the journal's outbox holds and answers `events.since` on `server`.
// Thread rule: the reactor's thread.
class EventPublisher {
 public:
  virtual ~EventPublisher() = default;
  // Call after a transaction that emitted events; it sends what has not been sent yet.
  virtual void flush() = 0;
};
// `snapshot`: the service's state, given with a gap answer; one beyond half a message's size is
// left out. A party without an events endpoint publishes nothing and still answers `events.since`.
Result<std::unique_ptr<EventPublisher>> make_event_publisher(
    Reactor& reactor, const Directory& directory, const Clock& clock, journal::Journal& journal,
    Server& server, std::function<message::Body()> snapshot);

// Follows one service's events: subscribes first, asks for the backlog, drops what it has seen, and
// replays on every gap (ZeroMQ guide, Clone pattern). Every event comes once and in order. Where
// events have left the kept range, or the service's journal was made anew (another incarnation),
// `on_gap` comes first, with the service's state or null, and then the events there are.
// Thread rule: the reactor's thread; not to be destroyed from inside its handlers.
class EventFollower {
 public:
  virtual ~EventFollower() = default;
  virtual std::uint64_t last_sequence() const = 0;
  // Empty until the service has answered, unless it was given.
  virtual const std::string& incarnation() const = 0;
};
struct FollowFrom {
  std::uint64_t after_sequence = 0;
  std::string incarnation = {};  // in which `after_sequence` was seen; empty: not known
};
using OnEvent = std::function<void(const journal::Event&)>;
using OnGap = std::function<void(const message::Body& snapshot)>;
std::unique_ptr<EventFollower> make_event_follower(Reactor& reactor, const Directory& directory,
                                                   const Clock& clock, const std::string& service,
                                                   const FollowFrom& from, OnEvent on_event,
                                                   OnGap on_gap = {});
inline std::unique_ptr<EventFollower> make_event_follower(
    Reactor& reactor, const Directory& directory, const Clock& clock, const std::string& service,
    std::uint64_t after_sequence, OnEvent on_event) {
  return make_event_follower(reactor, directory, clock, service, FollowFrom{after_sequence, {}},
                             std::move(on_event), OnGap{});
}

}  // namespace lockstep::transport
