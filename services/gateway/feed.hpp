// Feed: the XPUB that outsiders subscribe to, on a thread of its own: what they send keeps nobody
// from keeping events, and what they do not take keeps nobody from sending.
//
// An event is two frames, its topic `<type>/<subject>` and MessagePack (schemas/event.json); every
// two seconds each source has a heartbeat with the topic `heartbeat/<source>`.
//
// Thread rule: construct and destroy on one thread; publish(), beat() and the counts from any.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/transport/events.hpp"
#include "common/transport/reactor.hpp"
#include "common/transport/sockets.hpp"
#include "services/gateway/connections.hpp"
#include "services/gateway/kept.hpp"

namespace lockstep::gateway {

class Feed {
 public:
  // Binds `endpoint`. Error: transport.
  static Result<std::unique_ptr<Feed>> open(const transport::Directory& directory,
                                            const Clock& clock, const std::string& endpoint);
  ~Feed();
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  // In order. While the thread is far behind they are left out: whoever listens sees the gap and
  // asks for them.
  void publish(std::vector<Arrival> events);
  void beat(const std::map<std::string, transport::KeptEvents>& sources);

  std::uint64_t published() const { return published_; }
  std::uint64_t left_out() const { return left_out_; }
  ConnectionCounts connections() const { return connections_->counts(); }

 private:
  Feed(std::unique_ptr<transport::Reactor> reactor, transport::Socket socket,
       std::unique_ptr<Connections> connections, const Clock& clock);
  void receive();
  void take(int descriptor, std::string_view frame);

  // What one connection asks for.
  struct Wishes {
    std::uint64_t connection = 0;
    int topics = 0;  // subscribed now
    int said = 0;    // in this window
    MonoNanos window;
  };

  const Clock& clock_;
  std::unique_ptr<transport::Reactor> reactor_;
  std::unique_ptr<Connections> connections_;
  transport::Socket socket_;
  std::map<int, Wishes> wishes_;  // by descriptor
  std::atomic<std::uint64_t> waiting_{0};
  std::atomic<std::uint64_t> published_{0};
  std::atomic<std::uint64_t> left_out_{0};
  std::thread thread_;
};

}  // namespace lockstep::gateway
