// Inbox: what was taken off a socket and has not been looked at yet, each sender's apart and taken
// in turn, so that whoever sends much delays itself alone. Pure.
//
// The bound is here and not at the socket: where a socket's own queue is full as its connection is
// lost, libzmq up to 4.3.5 ends the process (zeromq/libzmq#4364). What is beyond the bound is
// dropped: at least once on the wire, whoever asked asks again.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "common/transport/wire.hpp"

namespace lockstep::transport {

class Inbox {
 public:
  struct Limits {
    std::size_t messages_each = 1000;  // of one sender
    std::size_t bytes_each = std::size_t{16} << 20;
    std::size_t bytes_all = std::size_t{64} << 20;
  };

  explicit Inbox(Limits limits) : limits_(limits) {}

  // A message with its routing id first. False: it is beyond a limit and was dropped.
  bool put(Parts message);
  // The oldest message of the sender whose turn it is.
  std::optional<Parts> next();
  bool empty() const { return senders_.empty(); }

 private:
  // By the name that its key has; on plain text there is only the routing id.
  static const std::string& sender_of(const Parts& message);
  static std::size_t size_of(const Parts& message);

  struct Waiting {
    std::deque<Parts> messages;  // never empty
    std::size_t bytes = 0;
  };

  Limits limits_;
  std::map<std::string, Waiting> senders_;
  std::string last_;  // whose turn it was
  std::size_t bytes_ = 0;
};

}  // namespace lockstep::transport
