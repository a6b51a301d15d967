// Bulk sockets: the ROUTER that a transfer-agent binds for data, and the DEALER that dials one.
// They carry nothing but streams (docs/stream.md); control messages have sockets of their own.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/clock/clock.hpp"
#include "common/stream/channel.hpp"

namespace lockstep::stream {

// What is handed in, so that this part knows nothing of keys and names. `context` is the process's
// one ZeroMQ context; it must outlive every server, link and channel, and its ZAP handler must be
// bound before a server is made. The functions set the CURVE options of a socket that is neither
// bound nor connected yet (transport's secure_server and secure_client); empty: plain text.
struct Wire {
  void* context = nullptr;
  std::function<Result<void>(void* socket)> secure_server;
  std::function<Result<void>(void* socket, const std::string& server_key)> secure_client;
  Nanos ping = seconds(2);  // said after this long without anything else to say
  // A peer that says nothing for this long is lost. Whole frames count: on a slow line one pack of
  // a MiB takes its time, so that this is also the slowest line that works (35 KB/s).
  Nanos silence = seconds(30);
};

// A peer's opening, for the service to answer. Exactly one of both is called, from any thread,
// once; destroying it unanswered refuses.
class Arrival {
 public:
  virtual ~Arrival() = default;
  virtual const Opening& opening() const = 0;
  // The link to this peer for this transfer. Later openings of the same transfer, set and kind, by
  // the same peer, go to this link (its running channel ends with stream-peer-lost) as long as it
  // lives, whatever their attempt and body.
  virtual std::unique_ptr<Link> accept() = 0;
  // The peer's Link::open returns this error.
  virtual void refuse(const Error& error) = 0;
};

// Thread rule: its own thread serves the socket; make and destroy from any one thread. Links and
// channels may outlive it: they then say stream-peer-lost.
class BulkServer {
 public:
  using OnArrival =
      std::function<void(std::unique_ptr<Arrival>)>;  // on the server's thread: be quick
  virtual ~BulkServer() = default;
};
// Binds `endpoint`. Error: transport.
Result<std::unique_ptr<BulkServer>> make_bulk_server(const Wire& wire, const std::string& endpoint,
                                                     const Clock& clock,
                                                     BulkServer::OnArrival on_arrival);

// A link that dials `endpoint` and sends `opening`. `server_key`: Z85, empty on plain text. The
// connection is made by Link::open. Thread rule: as Link.
std::unique_ptr<Link> make_dial(const Wire& wire, const std::string& endpoint,
                                const std::string& server_key, const Opening& opening,
                                const Clock& clock);

}  // namespace lockstep::stream
