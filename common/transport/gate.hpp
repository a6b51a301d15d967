// Gate: stands before a socket that publishes, accepts the connections in its place and carries
// their bytes both ways, unread; but lets in only as much as a subscriber has to say.
//
// libzmq hands a publisher all that came before it looks at the first of it, at 40 bytes for each
// byte of a topic; and where it is given a bound on what waits, it ends the process as a connection
// is lost while that is full (zeromq/libzmq#4364). So the bound is here, before libzmq: what is too
// much is not read, and who goes on sending is disconnected.
//
// Thread rule: a thread of its own; construct and destroy on one thread, the other members from
// any.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/error/error.hpp"
#include "common/os/fd.hpp"
#include "common/transport/allowance.hpp"

namespace lockstep::transport {

class Gate {
 public:
  struct Limits {
    Allowance::Grant each;  // of what one connection sends
    Allowance::Grant all;   // of what all of them send together
    std::size_t most_connections = 0;
    // What one sent beyond its grant waits for this long without a break: it is disconnected.
    Nanos patience;
  };

  // Listens at `endpoint`, and connects each that comes to the abstract socket `inside`
  // (ipc://@NAME in libzmq's words). Error: transport.
  static Result<std::unique_ptr<Gate>> open(const std::string& endpoint, const std::string& inside,
                                            const Limits& limits);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Calls `look` with the descriptor of the outsider whose bytes come in by `inner`, the descriptor
  // that libzmq accepted; false: there is none any more. The descriptor is valid for that call.
  bool look(int inner, const std::function<void(int)>& look) const;
  // Ends the connection that came in by `inner`, for what it sent: libzmq sees it end at once, the
  // outsider only after half a minute in which nothing of it is read. One that came back at once
  // would cost more than it did: libzmq walks all topics there are for each connection that ends.
  // False: there is none any more.
  bool hold(int inner);
  // How many were disconnected here for what they sent.
  std::uint64_t disconnected() const { return disconnected_; }

 private:
  struct Connection {
    os::Fd outer;  // the subscriber's
    os::Fd inner;  // libzmq's
    std::string name;
    Allowance allowance;
    std::string in;        // on its way to libzmq
    std::string out;       // to the subscriber
    bool resting = false;  // not read from until the next tick
    bool behind = false;   // it has sent more than its allowance, since:
    MonoNanos since;
    std::uint32_t asked_outer = 0;  // what epoll watches for
    std::uint32_t asked_inner = 0;
  };
  using Id = std::uint64_t;

  Gate(os::Fd listener, std::string inside, const Limits& limits);
  void serve();
  void accept();
  void add(os::Fd outer);
  void turn(std::uint64_t number, std::uint32_t what);
  bool carry_in(Connection& one);
  bool carry_out(Connection& one);
  void ask(Id id, Connection& one) const;
  void remove(Id id);
  void put_aside(Id id, MonoNanos now);
  void tick();

  const std::unique_ptr<Clock> clock_;
  const std::string inside_;
  const Limits limits_;
  os::Fd listener_;
  os::Fd poll_;
  os::Fd stop_;
  Allowance all_;
  Id next_ = 1;
  Id last_ = 0;  // who last took of what is left for all
  std::map<Id, std::unique_ptr<Connection>> open_;
  std::vector<char> room_;
  bool accepting_ = true;
  struct Outside {
    int descriptor = -1;
    Id id = 0;
  };
  struct Held {
    os::Fd outer;
    MonoNanos until;
  };
  std::deque<Held> held_;     // the oldest first
  mutable std::mutex mutex_;  // of names_ and to_hold_, and of closing a descriptor in names_
  std::map<std::string, Outside> names_;  // by the inner side's
  std::vector<Id> to_hold_;
  std::atomic<std::uint64_t> disconnected_{0};
  std::thread thread_;
};

}  // namespace lockstep::transport
