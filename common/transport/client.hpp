// Client: requests to other services, with deadlines, bounded retries over fresh sockets (Lazy
// Pirate) and staged replies.
//
// A request is at least once on the wire: after `silence` without any reply the same envelope (same
// id) is sent again; the receiver's stored reply makes the effect converge. Every handler is called
// exactly once with a final outcome: done's body, the peer's error, `unreachable` (nobody ever
// answered), `stalled` (silence after accepted) or `deadline`. A peer that refuses this process's
// key ends the request with role-refused; a reply that breaks its schema, with message-schema.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "common/message/envelope.hpp"
#include "common/transport/peer.hpp"
#include "common/transport/reactor.hpp"

namespace lockstep::transport {

struct RequestOptions {
  Nanos silence = seconds(2);     // resend after this long without an answer
  Nanos stall = seconds(60);      // fail after this long without any answer
  Nanos deadline = seconds(600);  // fail after this long, whatever comes
};

struct Reply {
  enum class Stage { accepted, progress } stage;
  message::Body body;
};

// Thread rule: the reactor's thread.
class Client {
 public:
  using OnStage = std::function<void(const Reply&)>;
  using OnEnd = std::function<void(Result<message::Body>)>;

  virtual ~Client() = default;
  // `envelope`: id, from, sent_at, deadline are filled in where empty. Returns the id, for
  // cancel().
  virtual std::string request(const std::string& to, message::Envelope envelope,
                              const RequestOptions& options, OnStage on_stage, OnEnd on_end) = 0;
  // The handlers of that request are not called any more.
  virtual void cancel(const std::string& id) = 0;
};

std::unique_ptr<Client> make_client(Reactor& reactor, const Directory& directory,
                                    const Clock& clock);

// The same for a program that has nothing else to do (the command line): blocks until the end.
// Thread rule: one thread.
class Caller {
 public:
  virtual ~Caller() = default;
  virtual Result<message::Body> call(const std::string& to, message::Envelope envelope,
                                     const RequestOptions& options,
                                     const Client::OnStage& on_stage = {}) = 0;
};
std::unique_ptr<Caller> make_caller(const Directory& directory, const Clock& clock);

}  // namespace lockstep::transport
