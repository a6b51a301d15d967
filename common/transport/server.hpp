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
// done or failed; a short one done or failed at once. Answers after the last one are ignored.
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
};

// Binds directory.me().endpoint. Error: transport (the address is taken or malformed).
Result<std::unique_ptr<Server>> make_server(Reactor& reactor, const Directory& directory,
                                            const Clock& clock);

}  // namespace lockstep::transport
