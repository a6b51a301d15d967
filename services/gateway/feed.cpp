#include "services/gateway/feed.hpp"

#include <zmq.h>

#include "common/transport/loop.hpp"
#include "common/transport/wire.hpp"

namespace lockstep::gateway {

namespace {

constexpr const char* kMonitor = "inproc://feed-connections";
constexpr std::uint64_t kMostWaiting = 20'000;
constexpr int kMostTopics = 200;
constexpr int kMostSaid = 2000;
constexpr Nanos kWindow = seconds(10);

}  // namespace

Result<std::unique_ptr<Feed>> Feed::open(const transport::Directory& directory, const Clock& clock,
                                         const std::string& endpoint) {
  auto reactor = transport::make_reactor(clock, false);
  LOCKSTEP_TRY(auto socket, transport::make_feed(transport::loop_of(*reactor).context(), directory,
                                                 endpoint, kMonitor));
  LOCKSTEP_TRY(auto connections, Connections::watch(clock, kMonitor, *socket.gate()));
  return std::unique_ptr<Feed>(
      new Feed(std::move(reactor), std::move(socket), std::move(connections), clock));
}

Feed::Feed(std::unique_ptr<transport::Reactor> reactor, transport::Socket socket,
           std::unique_ptr<Connections> connections, const Clock& clock)
    : clock_(clock),
      reactor_(std::move(reactor)),
      connections_(std::move(connections)),
      socket_(std::move(socket)) {
  thread_ = std::thread([this] {
    auto& loop = transport::loop_of(*reactor_);
    const auto watch = loop.watch(socket_.raw(), [this] { receive(); });
    loop.run();
    loop.unwatch(watch);
  });
}

Feed::~Feed() {
  reactor_->stop();
  thread_.join();
  // Before what listens to it: libzmq would wait for somebody to take its last words.
  ::zmq_socket_monitor(socket_.raw(), nullptr, 0);
  connections_.reset();  // before the gate, which goes with the socket
}

void Feed::publish(std::vector<Arrival> events) {
  if (waiting_ + events.size() > kMostWaiting) {
    left_out_ += events.size();
    return;
  }
  waiting_ += events.size();
  reactor_->post([this, events = std::move(events)] {
    for (const auto& event : events) {
      transport::send_parts(socket_.raw(), {event.topic, event.bytes});
    }
    waiting_ -= events.size();
    published_ += events.size();
  });
}

void Feed::beat(const std::map<std::string, transport::KeptEvents>& sources) {
  if (waiting_ >= kMostWaiting) return;
  std::vector<Arrival> beats;
  for (const auto& [name, range] : sources) {
    const message::Body body{
        {"source", name}, {"incarnation", range.incarnation}, {"last", range.last}};
    Arrival beat;
    beat.topic = "heartbeat/" + name;
    beat.bytes = message::pack_body(body);
    beats.push_back(std::move(beat));
  }
  reactor_->post([this, beats = std::move(beats)] {
    for (const auto& beat : beats) transport::send_parts(socket_.raw(), {beat.topic, beat.bytes});
  });
}

void Feed::receive() {
  for (int i = 0; i < 256; ++i) {
    ::zmq_msg_t frame;
    ::zmq_msg_init(&frame);
    if (::zmq_msg_recv(&frame, socket_.raw(), ZMQ_DONTWAIT) < 0) {
      ::zmq_msg_close(&frame);
      return;
    }
    take(::zmq_msg_get(&frame, ZMQ_SRCFD),
         {static_cast<const char*>(::zmq_msg_data(&frame)), ::zmq_msg_size(&frame)});
    ::zmq_msg_close(&frame);
  }
}

// A frame that begins with 1 subscribes, with 0 ends that; any other is a message, which nobody has
// to send here.
void Feed::take(int descriptor, std::string_view frame) {
  // What libzmq says for one that has gone carries no descriptor.
  if (descriptor < 0) return;
  const MonoNanos now = clock_.mono();
  Wishes& wishes = wishes_[descriptor];
  // A descriptor comes back with another connection behind it.
  if (const auto number = connections_->number(descriptor); wishes.connection != number) {
    wishes = {number, 0, 0, now};
  }
  if (now - wishes.window >= kWindow) {
    wishes.window = now;
    wishes.said = 0;
  }
  ++wishes.said;
  if (!frame.empty() && frame.front() == 1) ++wishes.topics;
  if (!frame.empty() && frame.front() == 0) --wishes.topics;
  if (wishes.topics <= kMostTopics && wishes.said <= kMostSaid) return;
  connections_->refuse(descriptor);
  wishes = {wishes.connection, 0, 0, now};
}

}  // namespace lockstep::gateway
