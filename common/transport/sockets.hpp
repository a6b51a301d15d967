// Sockets: every option of every control and event socket, in one place; and what may be bound
// where.
//
// libzmq ignores an option that is set after bind or connect, so each function here sets all of
// them first. Plain text is for ipc:// alone, or for a site that asked for it (`insecure: true`).
//
// Thread rule: a socket belongs to one thread.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "common/error/error.hpp"
#include "common/transport/context.hpp"
#include "common/transport/gate.hpp"
#include "common/transport/peer.hpp"

namespace lockstep::transport {

// Owns a ZeroMQ socket and a share of its context.
class Socket {
 public:
  Socket() = default;
  // `type`: ZMQ_ROUTER, ... Check for null: descriptors may have run out.
  Socket(std::shared_ptr<Context> context, int type);
  Socket(Socket&& other) noexcept
      : context_(std::move(other.context_)),
        socket_(std::exchange(other.socket_, nullptr)),
        bound_path_(std::exchange(other.bound_path_, {})),
        gate_(std::move(other.gate_)) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket() { close(); }

  void* raw() const { return socket_; }
  explicit operator bool() const { return socket_ != nullptr; }
  void close();
  // The socket file of its ipc endpoint, which goes with it: libzmq leaves it.
  void owns(std::string bound_path) { bound_path_ = std::move(bound_path); }
  // What stands before it, and ends before it.
  void owns(std::unique_ptr<Gate> gate) { gate_ = std::move(gate); }
  Gate* gate() const { return gate_.get(); }

 private:
  std::shared_ptr<Context> context_;
  void* socket_ = nullptr;
  std::string bound_path_;
  std::unique_ptr<Gate> gate_;
};

// A control message's frame and what CURVE adds to it.
inline constexpr int kMaxControlFrame = 1024 * 1024 + 4096;

// The ROUTER of directory.me().endpoint, bound. Errors: transport (taken, malformed, plain text on
// tcp), key-unreadable (the own key is not the one that the others know).
Result<Socket> make_router(const std::shared_ptr<Context>& context, const Directory& directory);
// The DEALER to `to`.endpoint, connecting.
Result<Socket> make_dealer(const std::shared_ptr<Context>& context, const Directory& directory,
                           const Party& to);
// PUB at directory.me().events, bound, behind a gate; SUB to `to`.events, connecting, subscribed to
// everything.
Result<Socket> make_publisher(const std::shared_ptr<Context>& context, const Directory& directory);
Result<Socket> make_subscriber(const std::shared_ptr<Context>& context, const Directory& directory,
                               const Party& to);

// The XPUB at `endpoint`, bound, behind a gate: what outsiders subscribe to. It hands over every
// subscription and unsubscription, repeated ones too, drops what a subscriber does not take, and
// tells of its connections at `monitor` (zmq_socket_monitor), which is open before the first can be
// made.
Result<Socket> make_feed(const std::shared_ptr<Context>& context, const Directory& directory,
                         const std::string& endpoint, const std::string& monitor);

// For sockets of other parts (bulk): the CURVE options of a server, whose peers are the parties of
// `directory`; of a client of the server with `server_key` (where empty it is not set). On a site
// without keys they do nothing. Call them before bind or connect.
Result<void> secure_server(Context& context, void* socket, const Directory& directory);
Result<void> secure_client(void* socket, const Directory& directory, const std::string& server_key);

// What holds before an endpoint is bound: its path is short enough, no live process holds it, and
// what lies there is at most the socket of a process that is gone. Error: transport.
Result<void> check_bindable(const std::string& endpoint);
// Error: transport where `endpoint` would carry plain text and the site did not ask for that.
Result<void> check_plain_text(const Directory& directory, const std::string& endpoint);

}  // namespace lockstep::transport
