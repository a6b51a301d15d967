// Connections: who is connected to the feed, on a thread of its own that goes on looking while a
// flood keeps the feed's thread busy. Whoever floods is disconnected.
//
// Thread rule: construct and destroy on one thread; the other members from any.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "common/clock/clock.hpp"
#include "common/transport/reactor.hpp"
#include "common/transport/sockets.hpp"
#include "services/gateway/behaviour.hpp"

namespace lockstep::gateway {

struct ConnectionCounts {
  std::uint64_t connected = 0;  // now
  std::uint64_t behind = 0;     // now: slow or frozen
  // Since the start:
  std::uint64_t accepted = 0;
  std::uint64_t slow = 0;
  std::uint64_t frozen = 0;     // disconnected for taking or saying nothing
  std::uint64_t flooding = 0;   // disconnected for what they sent
  std::uint64_t malformed = 0;  // no handshake, or not of this protocol
  std::uint64_t refused = 0;    // an unknown key, or one connection too many
};

class Connections {
 public:
  // `monitor`: where the feed's socket tells of its connections (make_feed); `gate` stands before
  // it and outlives this.
  static Result<std::unique_ptr<Connections>> watch(const Clock& clock, const std::string& monitor,
                                                    transport::Gate& gate);
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  ConnectionCounts counts() const;
  // Disconnects the one behind this descriptor, which sends what no subscriber has to say.
  void refuse(int descriptor);
  // Which connection this descriptor stands for: another number for each; 0 while it is not known.
  std::uint64_t number(int descriptor) const;

 private:
  Connections(const Clock& clock, transport::Gate& gate,
              std::unique_ptr<transport::Reactor> reactor, transport::Socket socket);
  void receive();
  void take(std::uint16_t event, int value);
  void gone(int descriptor);
  void look();
  void count_untold(MonoNanos now);

  struct Connection {
    Behaviour behaviour;
    bool told_slow = false;
    MonoNanos since;
    std::uint64_t cookie = 0;  // the kernel's number of the socket
  };

  const Clock& clock_;
  transport::Gate& gate_;
  std::unique_ptr<transport::Reactor> reactor_;
  transport::Socket socket_;
  std::map<int, Connection> open_;
  std::uint64_t told_ = 0;  // handshakes of which libzmq told that they ended, well or not
  mutable std::mutex mutex_;
  std::map<int, std::uint64_t> numbers_;
  struct {
    std::atomic<std::uint64_t> connected, behind, accepted, slow, frozen, flooding, failed, untold,
        refused;
  } counts_{};
  std::thread thread_;
};

}  // namespace lockstep::gateway
