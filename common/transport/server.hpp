// Server: the ROUTER of a service. Decodes, checks schema and role, and hands each request to the
// handler of its type; whatever is wrong is answered by `failed` and never reaches a handler.
//
// Thread rule: the reactor's thread. A Request may be kept and answered later, from that thread.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "common/message/envelope.hpp"
#include "common/transport/peer.hpp"
#include "common/transport/reactor.hpp"

namespace lockstep::transport {

// A request under way; a shared handle. A long step answers accepted, any number of progress, then
// done or failed; a short one done or failed at once. Answers after the last one are ignored. One
// whose last handle goes without an answer while the reactor runs is answered by `internal`; when
// the service stops first it is not answered, and the sender asks again.
class Request {
 public:
  struct Impl;
  explicit Request(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

  const message::Envelope& envelope() const;
  const message::Body& body() const { return envelope().body; }
  // Who sent it: by its key under CURVE, by `from` on plain text.
  const Party& peer() const;

  void accepted(message::Body body = message::Body::object()) const;
  void progress(message::Body body) const;
  void done(message::Body body = message::Body::object()) const;
  void failed(const Error& error) const;

 private:
  std::shared_ptr<Impl> impl_;
};

class Server {
 public:
  using Handler = std::function<void(Request)>;

  virtual ~Server() = default;
  // `roles`: who may send this type (others get role-refused, and a line in the log).
  virtual void on(const std::string& type, std::set<Role> roles, Handler handler) = 0;
  // Called for every request of a known party that its role may not send.
  using OnRefusal = std::function<void(const Party& peer, const std::string& type)>;
  virtual void on_refusal(OnRefusal callback) = 0;
};

// Binds directory.me().endpoint. Errors: transport (the address is taken or malformed, a live
// process serves it, plain text over the network), key-unreadable (the own key is another than the
// one the others know).
//
// A repeated request (same id, same party) never reaches a handler twice: while it is under way it
// is answered by `accepted`, and later replies go to whoever asked last; after its end its final
// reply is sent again, as long as it is among the last few hundred. A handler that outlives that,
// or a restart, answers from the journal by (run, step, attempt).
Result<std::unique_ptr<Server>> make_server(Reactor& reactor, const Directory& directory,
                                            const Clock& clock);

}  // namespace lockstep::transport
