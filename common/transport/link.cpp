#include "common/transport/link.hpp"

#include <zmq.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "common/transport/wire.hpp"

namespace lockstep::transport {

namespace {

constexpr int kMessagesPerTurn = 64;
constexpr int kWatchedEvents = ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                               ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_SUCCEEDED;

std::string next_monitor_name() {
  static std::atomic<std::uint64_t> count{0};
  return "inproc://lockstep-link-" + std::to_string(++count);
}

Error monitor_error() {
  return make_error(ErrorCode::transport,
                    std::string("cannot watch a connection: ") + ::zmq_strerror(errno));
}

}  // namespace

Result<std::unique_ptr<Link>> Link::open(Loop& loop, const Directory& directory, const Party& to,
                                         MonoNanos now, Handlers handlers) {
  LOCKSTEP_TRY(Socket socket, make_dealer(loop.context(), directory, to));
  const std::string name = next_monitor_name();
  if (::zmq_socket_monitor(socket.raw(), name.c_str(), kWatchedEvents) != 0) return monitor_error();
  Socket monitor(loop.context(), ZMQ_PAIR);
  const int none = 0;
  if (!monitor || ::zmq_setsockopt(monitor.raw(), ZMQ_LINGER, &none, sizeof none) != 0 ||
      ::zmq_connect(monitor.raw(), name.c_str()) != 0) {
    return monitor_error();
  }
  return std::unique_ptr<Link>(
      new Link(loop, std::move(socket), std::move(monitor), now, std::move(handlers)));
}

Link::Link(Loop& loop, Socket socket, Socket monitor, MonoNanos now, Handlers handlers)
    : loop_(loop),
      socket_(std::move(socket)),
      monitor_(std::move(monitor)),
      last_heard_(now),
      handlers_(std::move(handlers)) {
  watch_ = loop_.watch(socket_.raw(), [this] { receive(); });
  monitor_watch_ = loop_.watch(monitor_.raw(), [this] { receive_event(); });
}

Link::~Link() {
  loop_.unwatch(watch_);
  loop_.unwatch(monitor_watch_);
  ::zmq_socket_monitor(socket_.raw(), nullptr, 0);
}

void Link::send(const std::string& bytes) {
  // Where the queue is full, the request is sent again after its silence.
  static_cast<void>(send_parts(socket_.raw(), {bytes}));
}

void Link::receive() {
  // A handler may destroy this link; what is needed after it is held here.
  const auto message = handlers_.message;
  const auto watch = watch_;
  Loop& loop = loop_;
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    auto parts = receive_parts(socket_.raw());
    if (!parts) return;
    if (parts->too_many || parts->frames.size() != 1) continue;
    message(parts->frames[0]);
    if (!loop.watched(watch)) return;
  }
}

// Frames: u16 event and u32 value in the host's byte order; the endpoint.
void Link::receive_event() {
  const auto refused = handlers_.refused;
  const auto parts = receive_parts(monitor_.raw());
  if (!parts || parts->frames.empty() || parts->frames[0].size() < sizeof(std::uint16_t)) return;
  std::uint16_t event = 0;
  std::memcpy(&event, parts->frames[0].data(), sizeof event);
  switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      trouble_.clear();
      break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      trouble_ = "it does not know this key";
      refused();
      break;
    default:
      trouble_ = "the handshake failed: its key is another than the one given here";
      break;
  }
}

}  // namespace lockstep::transport
