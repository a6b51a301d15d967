// BulkSocket: a ZeroMQ socket for streams, and the frames it sends and receives.
//
// Thread rule: the thread that made it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "common/stream/bulk.hpp"
#include "common/stream/channel.hpp"

namespace lockstep::stream {

class BulkSocket {
 public:
  // Every option is set here, before bind or connect.
  static Result<BulkSocket> listen(const Wire& wire, const std::string& endpoint);
  static Result<BulkSocket> dial(const Wire& wire, const std::string& endpoint,
                                 const std::string& server_key);
  BulkSocket(BulkSocket&& other) noexcept
      : socket_(std::exchange(other.socket_, nullptr)), router_(other.router_) {}
  BulkSocket& operator=(BulkSocket&&) = delete;
  ~BulkSocket();

  void* raw() const { return socket_; }

  enum class Sent { yes, later, gone };
  // To `peer` (a routing id; unused by a dialler). Where it could not be sent the frame is as it
  // was.
  Sent send(const std::string& peer, Frame& frame);

  struct Received {
    std::string peer;  // routing id
    std::string user;  // User-Id of the ZAP handler
    Frame frame;
    bool malformed = false;  // another number of parts than a frame has
  };
  // Nothing where nothing waits.
  std::optional<Received> receive();

 private:
  BulkSocket(void* socket, bool router) : socket_(socket), router_(router) {}
  static Result<BulkSocket> make(const Wire& wire, bool router);
  void* socket_;
  bool router_;
};

}  // namespace lockstep::stream
