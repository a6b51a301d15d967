// What becomes of a process whose queue is full of what a peer sent as that peer's connection is
// lost.
#include <zmq.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "common/transport/sockets.hpp"
#include "common/transport/wire.hpp"
#include "tests/unit/transport/small_site.hpp"

using namespace lockstep;
using namespace lockstep::transport;

namespace {

// Longer than the heartbeats' interval, which is when libzmq would find out.
constexpr auto kPastAHeartbeat = std::chrono::milliseconds(2600);
constexpr int kMany = 30'000;

Socket peer_of(const std::string& endpoint, int type) {
  Socket out{process_context(), type};
  const int none = 0;
  const int linger = 0;
  ::zmq_setsockopt(out.raw(), ZMQ_SNDHWM, &none, sizeof none);
  ::zmq_setsockopt(out.raw(), ZMQ_LINGER, &linger, sizeof linger);
  REQUIRE(::zmq_connect(out.raw(), endpoint.c_str()) == 0);
  return out;
}

// Each frame is another: a subscription made twice is sent once.
void flood(Socket& peer, const std::string& begin) {
  for (int i = 0; i < kMany; ++i) {
    const std::string frame = begin + std::to_string(i);
    REQUIRE(::zmq_send(peer.raw(), frame.data(), frame.size(), 0) >= 0);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
}

void leave(Socket peer) { (void)peer; }

}  // namespace

TEST_CASE("a flood of requests that nobody has read yet ends no service as its sender goes") {
  const SmallSite site(false);
  auto router = make_router(process_context(), site.directory("scheduler"));
  REQUIRE(router.has_value());
  Socket peer = peer_of(site.directory("scheduler").me().endpoint, ZMQ_DEALER);
  flood(peer, "request");
  leave(std::move(peer));
  std::this_thread::sleep_for(kPastAHeartbeat);
  SUCCEED("alive");
}

TEST_CASE("a flood of subscriptions that nobody has read yet ends no service as its sender goes") {
  const SmallSite site(false);
  auto publisher = make_publisher(process_context(), site.directory("scheduler"));
  REQUIRE(publisher.has_value());
  Socket peer = peer_of(site.directory("scheduler").me().events, ZMQ_XSUB);
  flood(peer, "\x01topic");
  leave(std::move(peer));
  std::this_thread::sleep_for(kPastAHeartbeat);
  SUCCEED("alive");
}

TEST_CASE("a flood of subscriptions that nobody has read yet ends no feed as its sender goes") {
  const SmallSite site(false);
  const std::string endpoint = "ipc://" + (site.folder() / "feed").string();
  auto feed =
      make_feed(process_context(), site.directory("scheduler"), endpoint, "inproc://flooded");
  REQUIRE(feed.has_value());
  Socket peer = peer_of(endpoint, ZMQ_XSUB);
  flood(peer, "\x01topic");
  leave(std::move(peer));
  std::this_thread::sleep_for(kPastAHeartbeat);
  SUCCEED("alive");
}

TEST_CASE("events that nobody has read yet end no follower as their service goes") {
  const SmallSite site(false);
  auto publisher = make_publisher(process_context(), site.directory("scheduler"));
  REQUIRE(publisher.has_value());
  auto follower = make_subscriber(process_context(), site.directory("south-snapshot"),
                                  site.directory("scheduler").me());
  REQUIRE(follower.has_value());
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  for (int i = 0; i < kMany; ++i) {
    send_parts(publisher->raw(), {"event", "data"});
    if (i % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  leave(std::move(publisher.value()));
  std::this_thread::sleep_for(kPastAHeartbeat);
  SUCCEED("alive");
}

TEST_CASE("replies that nobody has read yet end no asker as their service goes") {
  const SmallSite site(false);
  Socket router{process_context(), ZMQ_ROUTER};
  const std::string endpoint = site.directory("scheduler").me().endpoint;
  const int none = 0;
  ::zmq_setsockopt(router.raw(), ZMQ_SNDHWM, &none, sizeof none);
  ::zmq_setsockopt(router.raw(), ZMQ_LINGER, &none, sizeof none);
  REQUIRE(::zmq_bind(router.raw(), endpoint.c_str()) == 0);
  auto dealer = make_dealer(process_context(), site.directory("user"),
                            site.directory("scheduler").parties.at("scheduler"));
  REQUIRE(dealer.has_value());
  REQUIRE(::zmq_send(dealer->raw(), "x", 1, 0) == 1);
  char id[64];
  const int size = ::zmq_recv(router.raw(), id, sizeof id, 0);
  REQUIRE(size > 0);
  for (int i = 0; i < kMany; ++i) {
    ::zmq_send(router.raw(), id, static_cast<std::size_t>(size), ZMQ_SNDMORE);
    ::zmq_send(router.raw(), "reply", 5, 0);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  leave(std::move(router));
  std::this_thread::sleep_for(kPastAHeartbeat);
  SUCCEED("alive");
}
