#include "common/stream/bulk_socket.hpp"

#include <zmq.h>

#include <cerrno>

#include "common/stream/pack.hpp"

namespace lockstep::stream {
namespace {

// Few messages wait inside ZeroMQ, so that Channel::backlog tells how the wire keeps up.
constexpr int kSendQueue = 4;
// No bound: where a full queue meets a connection that is lost, libzmq up to 4.3.5 ends the process
// at the next heartbeat, or at one that the peer put behind what filled it (zeromq/libzmq#4364).
// What a peer may have under way is its credit; whoever exceeds it is refused (Pipe::deliver),
// and the socket's thread does nothing but take what came.
constexpr int kReceiveQueue = 0;
constexpr int kLinger = 1000;
// Only against connections that are half open: a pack on a slow line must not look like silence.
constexpr int kHeartbeatTimeout = 60000;
constexpr std::int64_t kMaxFrame = static_cast<std::int64_t>(kPackLimit) + 4096;

Error failed(const std::string& act, const std::string& endpoint) {
  return make_error(ErrorCode::transport, "cannot " + act + ": " + zmq_strerror(zmq_errno()),
                    endpoint);
}

}  // namespace

Result<BulkSocket> BulkSocket::make(const Wire& wire, bool router) {
  void* socket = zmq_socket(wire.context, router ? ZMQ_ROUTER : ZMQ_DEALER);
  if (socket == nullptr) return failed("make a bulk socket", {});
  BulkSocket made(socket, router);
  const auto set = [socket](int option, int value) {
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
  };
  bool good = set(ZMQ_LINGER, kLinger) && set(ZMQ_SNDHWM, kSendQueue) &&
              set(ZMQ_RCVHWM, kReceiveQueue) && set(ZMQ_HANDSHAKE_IVL, 10000) &&
              set(ZMQ_RECONNECT_IVL, 100) && set(ZMQ_RECONNECT_IVL_MAX, 5000) &&
              set(ZMQ_HEARTBEAT_IVL, 10000) && set(ZMQ_HEARTBEAT_TIMEOUT, kHeartbeatTimeout) &&
              zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &kMaxFrame, sizeof kMaxFrame) == 0;
  good = good && (router ? set(ZMQ_ROUTER_MANDATORY, 1) : set(ZMQ_IMMEDIATE, 1));
  if (!good) return failed("set up a bulk socket", {});
  return made;
}

Result<BulkSocket> BulkSocket::listen(const Wire& wire, const std::string& endpoint) {
  LOCKSTEP_TRY(BulkSocket made, make(wire, true));
  if (wire.secure_server) LOCKSTEP_CHECK(wire.secure_server(made.socket_));
  if (zmq_bind(made.socket_, endpoint.c_str()) != 0) return failed("bind", endpoint);
  return made;
}

Result<BulkSocket> BulkSocket::dial(const Wire& wire, const std::string& endpoint,
                                    const std::string& server_key) {
  LOCKSTEP_TRY(BulkSocket made, make(wire, false));
  if (wire.secure_client) LOCKSTEP_CHECK(wire.secure_client(made.socket_, server_key));
  if (zmq_connect(made.socket_, endpoint.c_str()) != 0) return failed("connect to", endpoint);
  return made;
}

BulkSocket::~BulkSocket() {
  if (socket_ != nullptr) zmq_close(socket_);
}

BulkSocket::Sent BulkSocket::send(const std::string& peer, Frame& frame) {
  if (router_) {
    const int sent = zmq_send(socket_, peer.data(), peer.size(), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    if (sent < 0) return zmq_errno() == EAGAIN ? Sent::later : Sent::gone;
  }
  const bool two = frame.body.size() > 0;
  if (zmq_msg_send(frame.head.raw(), socket_, ZMQ_DONTWAIT | (two ? ZMQ_SNDMORE : 0)) < 0)
    return zmq_errno() == EAGAIN && !router_ ? Sent::later : Sent::gone;
  // Once its first part was taken, the rest of a message is.
  if (two && zmq_msg_send(frame.body.raw(), socket_, ZMQ_DONTWAIT) < 0) return Sent::gone;
  return Sent::yes;
}

std::optional<BulkSocket::Received> BulkSocket::receive() {
  Received out;
  const auto part = [this](Blob& into) {
    return zmq_msg_recv(into.raw(), socket_, ZMQ_DONTWAIT) >= 0;
  };
  Blob first;
  if (!part(first)) return std::nullopt;
  if (router_) {
    out.peer = first.text();
    if (zmq_msg_more(first.raw()) == 0 || !part(out.frame.head)) {
      out.malformed = true;
      return out;
    }
  } else {
    out.frame.head = std::move(first);
  }
  const char* user = zmq_msg_gets(out.frame.head.raw(), "User-Id");
  if (user != nullptr) out.user = user;
  bool more = zmq_msg_more(out.frame.head.raw()) != 0;
  if (more && part(out.frame.body)) more = zmq_msg_more(out.frame.body.raw()) != 0;
  while (more) {
    out.malformed = true;
    Blob rest;
    more = part(rest) && zmq_msg_more(rest.raw()) != 0;
  }
  return out;
}

}  // namespace lockstep::stream
