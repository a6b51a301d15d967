#include "common/transport/zap.hpp"

#include <spdlog/spdlog.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <vector>

#include "common/transport/wire.hpp"

namespace lockstep::transport {

namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kMaxFrames = 16;

// One request; empty when the context ends.
std::vector<std::string> receive(void* socket) {
  std::vector<std::string> frames;
  for (bool more = true; more;) {
    zmq_msg_t frame;
    ::zmq_msg_init(&frame);
    int size = -1;
    do {
      size = ::zmq_msg_recv(&frame, socket, 0);
    } while (size < 0 && errno == EINTR);
    if (size < 0) {
      ::zmq_msg_close(&frame);
      return {};
    }
    more = ::zmq_msg_more(&frame) != 0;
    if (frames.size() < kMaxFrames) {
      frames.emplace_back(static_cast<const char*>(::zmq_msg_data(&frame)), ::zmq_msg_size(&frame));
    }
    ::zmq_msg_close(&frame);
  }
  return frames;
}

void send(void* socket, const std::vector<std::string>& frames) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const int flags = i + 1 < frames.size() ? ZMQ_SNDMORE : 0;
    // Fails only when the context ends, which the next receive tells.
    while (::zmq_send(socket, frames[i].data(), frames[i].size(), flags) < 0 && errno == EINTR) {
    }
  }
}

std::string to_z85(const std::string& key) {
  std::array<char, 41> text{};
  std::array<std::uint8_t, kKeyBytes> bytes{};
  for (std::size_t i = 0; i < kKeyBytes; ++i) bytes[i] = static_cast<std::uint8_t>(key[i]);
  ::zmq_z85_encode(text.data(), bytes.data(), bytes.size());
  return text.data();
}

}  // namespace

Result<std::unique_ptr<ZapHandler>> ZapHandler::start(void* context) {
  void* socket = ::zmq_socket(context, ZMQ_REP);
  if (socket == nullptr || ::zmq_bind(socket, "inproc://zeromq.zap.01") != 0) {
    Error error = from_errno(ErrorCode::transport, errno, "start the check of keys (ZAP)");
    if (socket != nullptr) ::zmq_close(socket);
    return error;
  }
  return std::unique_ptr<ZapHandler>(new ZapHandler(socket));
}

ZapHandler::ZapHandler(void* socket) : thread_([this, socket] { serve(socket); }) {}

ZapHandler::~ZapHandler() { thread_.join(); }

void ZapHandler::allow(const std::string& domain, Names names_by_key) {
  const std::lock_guard lock(mutex_);
  domains_[domain] = std::move(names_by_key);
}

std::string ZapHandler::find(const std::string& domain, const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto names = domains_.find(domain);
  if (names == domains_.end()) return {};
  const auto name = names->second.find(key);
  return name == names->second.end() ? std::string() : name->second;
}

// Frames: version, request id, domain, address, identity, mechanism, credentials.
void ZapHandler::serve(void* socket) {
  Throttle throttle;
  for (;;) {
    const std::vector<std::string> request = receive(socket);
    if (request.empty()) break;
    std::string name;
    std::string key;
    if (request.size() == 7 && request[0] == "1.0" && request[5] == "CURVE" &&
        request[6].size() == kKeyBytes) {
      key = to_z85(request[6]);
      name = find(request[2], key);
    }
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    if (name.empty() && throttle.pass({std::chrono::nanoseconds(now).count()})) {
      spdlog::warn("refused a connection from {}: its key {} is not one of this site",
                   request.size() > 3 ? request[3] : "?", key.empty() ? "(none)" : key);
    }
    const std::string id = request.size() > 1 ? request[1] : "";
    send(socket,
         {"1.0", id, name.empty() ? "400" : "200", name.empty() ? "unknown key" : "OK", name, ""});
  }
  const int none = 0;
  ::zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
  ::zmq_close(socket);
}

}  // namespace lockstep::transport
