// What one socket hands over and takes: whole messages, never parts, never blocking.
//
// Thread rule: the socket's thread.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock/moment.hpp"
#include "common/transport/sockets.hpp"

namespace lockstep::transport {

struct Parts {
  std::vector<std::string> frames;
  std::string user;       // the party's name by its key (ZAP's User-Id); empty on plain text
  bool too_many = false;  // more frames than any message of the protocol has; the rest was dropped
};

// The next message, if there is one.
std::optional<Parts> receive_parts(void* socket);

enum class Sent { yes, full, no_such_peer };
Sent send_parts(void* socket, std::initializer_list<std::string_view> frames);

// The id and type of a message that decode() refused, as far as they can be had: so that its sender
// can be told. Nothing where there is no id.
struct Glimpse {
  std::string id;
  std::string type;
};
std::optional<Glimpse> glimpse(std::string_view bytes);

// Lets a line through now and then, so that whoever sends rubbish cannot fill the log.
class Throttle {
 public:
  bool pass(MonoNanos now);

 private:
  MonoNanos window_;
  int passed_ = 0;
};

}  // namespace lockstep::transport
