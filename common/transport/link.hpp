// Link: the DEALER to one party, and what libzmq says of its handshakes.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <string>

#include "common/transport/loop.hpp"
#include "common/transport/sockets.hpp"

namespace lockstep::transport {

class Link {
 public:
  struct Handlers {
    std::function<void(const std::string& bytes)> message;
    // The peer does not know this process's key: no message will ever get through.
    std::function<void()> refused;
  };

  static Result<std::unique_ptr<Link>> open(Loop& loop, const Directory& directory, const Party& to,
                                            MonoNanos now, Handlers handlers);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void send(const std::string& bytes);
  // When something last came, or the socket was made.
  MonoNanos last_heard() const { return last_heard_; }
  void heard(MonoNanos now) { last_heard_ = now; }
  // What the last failed handshake says, for errors; empty where none failed.
  const std::string& trouble() const { return trouble_; }

 private:
  Link(Loop& loop, Socket socket, Socket monitor, MonoNanos now, Handlers handlers);
  void receive();
  void receive_event();

  Loop& loop_;
  Socket socket_;
  Socket monitor_;
  Loop::WatchId watch_ = 0;
  Loop::WatchId monitor_watch_ = 0;
  MonoNanos last_heard_;
  Handlers handlers_;
  std::string trouble_;
};

}  // namespace lockstep::transport
