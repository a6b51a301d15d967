#include "services/gateway/connections.hpp"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <zmq.h>

#include <algorithm>
#include <cstring>

#include "common/transport/loop.hpp"

namespace lockstep::gateway {

namespace {

constexpr std::size_t kMostConnections = 2000;
constexpr Nanos kLook = milliseconds(25);
// No handshake is under way for longer: libzmq ends it after ten seconds (sockets.cpp), and may be
// late.
constexpr Nanos kHandshake = seconds(30);

// Of the socket behind a descriptor; 0: it is none any more (socket(7), SO_COOKIE).
std::uint64_t cookie_of(int descriptor) {
  std::uint64_t cookie = 0;
  ::socklen_t size = sizeof cookie;
  return ::getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

Sample sample_of(int descriptor) {
  Sample out;
  int count = 0;
  if (::ioctl(descriptor, SIOCOUTQ, &count) == 0) out.unsent = static_cast<std::uint64_t>(count);
  if (::ioctl(descriptor, FIONREAD, &count) == 0) out.unread = static_cast<std::uint64_t>(count);
  ::tcp_info info{};
  ::socklen_t size = sizeof info;
  // Fails on ipc, where the two above are all there is.
  if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
    out.received = info.tcpi_bytes_received;
    out.silent = milliseconds(info.tcpi_last_data_recv);
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<Connections>> Connections::watch(const Clock& clock,
                                                        const std::string& monitor,
                                                        transport::Gate& gate) {
  auto reactor = transport::make_reactor(clock, false);
  transport::Socket socket{transport::loop_of(*reactor).context(), ZMQ_PAIR};
  // A monitor that is full would stop libzmq's own thread.
  const int no_limit = 0;
  if (!socket || ::zmq_setsockopt(socket.raw(), ZMQ_RCVHWM, &no_limit, sizeof no_limit) != 0 ||
      ::zmq_connect(socket.raw(), monitor.c_str()) != 0) {
    return make_error(ErrorCode::transport,
                      std::string("cannot watch connections: ") + ::zmq_strerror(errno), monitor);
  }
  return std::unique_ptr<Connections>(
      new Connections(clock, gate, std::move(reactor), std::move(socket)));
}

Connections::Connections(const Clock& clock, transport::Gate& gate,
                         std::unique_ptr<transport::Reactor> reactor, transport::Socket socket)
    : clock_(clock), gate_(gate), reactor_(std::move(reactor)), socket_(std::move(socket)) {
  thread_ = std::thread([this] {
    auto& loop = transport::loop_of(*reactor_);
    const auto watch = loop.watch(socket_.raw(), [this] { receive(); });
    const auto timer = loop.every(kLook, [this] { look(); });
    loop.run();
    loop.cancel(timer);
    loop.unwatch(watch);
  });
}

Connections::~Connections() {
  reactor_->stop();
  thread_.join();
}

ConnectionCounts Connections::counts() const {
  return {counts_.connected,
          counts_.behind,
          counts_.accepted,
          counts_.slow,
          counts_.frozen,
          counts_.flooding + gate_.disconnected(),
          counts_.failed + counts_.untold,
          counts_.refused};
}

// The descriptor may by now be another connection's, which then comes back by itself and asks for
// what it missed; of anything but a socket nothing comes.
void Connections::refuse(int descriptor) {
  if (gate_.hold(descriptor)) ++counts_.flooding;
}

std::uint64_t Connections::number(int descriptor) const {
  const std::lock_guard lock(mutex_);
  const auto found = numbers_.find(descriptor);
  return found == numbers_.end() ? 0 : found->second;
}

// Two frames: the event's number and value; the endpoint.
void Connections::receive() {
  for (int i = 0; i < 256; ++i) {
    struct {
      char bytes[6];
    } head{};
    const int size = ::zmq_recv(socket_.raw(), head.bytes, sizeof head.bytes, ZMQ_DONTWAIT);
    if (size < 0) return;
    char rest[256];
    int more = 0;
    std::size_t length = sizeof more;
    while (::zmq_getsockopt(socket_.raw(), ZMQ_RCVMORE, &more, &length) == 0 && more != 0) {
      if (::zmq_recv(socket_.raw(), rest, sizeof rest, ZMQ_DONTWAIT) < 0) return;
    }
    if (size != static_cast<int>(sizeof head.bytes)) continue;
    std::uint16_t event = 0;
    std::int32_t value = 0;
    std::memcpy(&event, head.bytes, sizeof event);
    std::memcpy(&value, head.bytes + sizeof event, sizeof value);
    take(event, value);
  }
}

void Connections::take(std::uint16_t event, int value) {
  switch (event) {
    case ZMQ_EVENT_ACCEPTED:
      ++counts_.accepted;
      open_[value] = {{}, false, clock_.mono(), cookie_of(value)};
      {
        const std::lock_guard lock(mutex_);
        numbers_[value] = counts_.accepted;
      }
      if (open_.size() > kMostConnections) {
        ++counts_.refused;
        ::shutdown(value, SHUT_RDWR);
      }
      break;
    case ZMQ_EVENT_DISCONNECTED:
      gone(value);
      break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      ++told_;
      break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      ++told_;
      ++counts_.refused;
      break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      ++told_;
      ++counts_.failed;
      break;
    default:
      break;
  }
  counts_.connected = open_.size();
}

void Connections::gone(int descriptor) {
  const auto found = open_.find(descriptor);
  if (found == open_.end()) return;
  if (found->second.behaviour.frozen()) ++counts_.frozen;
  open_.erase(found);
}

// libzmq ends one whose first bytes are not of its protocol without a word about a handshake, and
// of the others does not say whose handshake it speaks of. So who is gone without a word is what
// all that came are more than the handshakes told of and those still under way.
void Connections::count_untold(MonoNanos now) {
  const auto under_way = std::count_if(open_.begin(), open_.end(), [now](const auto& one) {
    return now - one.second.since < kHandshake;
  });
  const std::uint64_t known = told_ + static_cast<std::uint64_t>(under_way);
  if (counts_.accepted > known) {
    counts_.untold = std::max<std::uint64_t>(counts_.untold, counts_.accepted - known);
  }
}

void Connections::look() {
  const MonoNanos now = clock_.mono();
  std::uint64_t behind = 0;
  for (auto& [descriptor, connection] : open_) {
    // libzmq closes a descriptor before this thread hears of it, and gives it to the next one: what
    // it tells then must not change the judgement of the one that is gone.
    if (cookie_of(descriptor) != connection.cookie) continue;
    Sample sample;
    if (!gate_.look(descriptor, [&sample](int outer) { sample = sample_of(outer); })) continue;
    const bool flooded = connection.behaviour.flooding();
    const bool stuck = connection.behaviour.stuck();
    connection.behaviour.look(now, sample);
    if (connection.behaviour.flooding() && !flooded) refuse(descriptor);
    if (connection.behaviour.stuck() && !stuck) ::shutdown(descriptor, SHUT_RDWR);
    const bool slow = connection.behaviour.slow();
    if (slow && !connection.told_slow) ++counts_.slow;
    connection.told_slow = slow || (connection.told_slow && connection.behaviour.frozen());
    if (slow || connection.behaviour.frozen()) ++behind;
  }
  counts_.behind = behind;
  count_untold(now);
}

}  // namespace lockstep::gateway
