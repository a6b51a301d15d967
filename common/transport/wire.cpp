#include "common/transport/wire.hpp"

#include <zmq.h>

#include <cerrno>

#include "common/message/envelope.hpp"
#include "common/message/uuid.hpp"

namespace lockstep::transport {

namespace {
constexpr std::size_t kMaxFrames = 4;
constexpr int kLinesPerWindow = 10;
}  // namespace

std::optional<Parts> receive_parts(void* socket) {
  Parts out;
  for (bool more = true; more;) {
    zmq_msg_t frame;
    ::zmq_msg_init(&frame);
    int size = -1;
    do {
      size = ::zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size < 0) {
      ::zmq_msg_close(&frame);
      return std::nullopt;
    }
    more = ::zmq_msg_more(&frame) != 0;
    if (out.frames.size() < kMaxFrames) {
      out.frames.emplace_back(static_cast<const char*>(::zmq_msg_data(&frame)),
                              ::zmq_msg_size(&frame));
    } else {
      out.too_many = true;
    }
    // Of the payload frame: the routing id's has no properties.
    if (!more) {
      if (const char* user = ::zmq_msg_gets(&frame, "User-Id")) out.user = user;
    }
    ::zmq_msg_close(&frame);
  }
  return out;
}

Sent send_parts(void* socket, std::initializer_list<std::string_view> frames) {
  std::size_t left = frames.size();
  for (const auto frame : frames) {
    const int flags = ZMQ_DONTWAIT | (--left > 0 ? ZMQ_SNDMORE : 0);
    int sent = -1;
    do {
      sent = ::zmq_send(socket, frame.data(), frame.size(), flags);
    } while (sent < 0 && errno == EINTR);
    // Only the first frame can be refused; the others follow it.
    if (sent < 0) return errno == EHOSTUNREACH ? Sent::no_such_peer : Sent::full;
  }
  return Sent::yes;
}

std::optional<Glimpse> glimpse(std::string_view bytes) {
  const auto map = message::unpack_body(bytes);
  if (!map || !map->is_object()) return std::nullopt;
  const auto text = [&](const char* key) -> std::string {
    const auto found = map->find(key);
    return found != map->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  Glimpse out{text("id"), text("type")};
  if (!message::is_uuid(out.id)) return std::nullopt;
  return out;
}

bool Throttle::pass(MonoNanos now) {
  if (now - window_ > seconds(10)) {
    window_ = now;
    passed_ = 0;
  }
  return ++passed_ <= kLinesPerWindow;
}

}  // namespace lockstep::transport
