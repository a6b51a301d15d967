// Wired: the links of both ends of a transfer, in one process, over a real bulk socket.
#pragma once

#include <zmq.h>

#include <future>
#include <memory>
#include <string>

#include "common/stream/bulk.hpp"

namespace lockstep::test {

struct ZmqContext {
  void* raw = zmq_ctx_new();
  ~ZmqContext() { zmq_ctx_term(raw); }
};

// The links of both ends over a bulk socket: one dials, the other is dialled.
class Wired {
 public:
  Wired(const Clock& clock, const std::string& endpoint, const stream::Opening& opening) {
    wire.context = context.raw;
    wire.ping = milliseconds(200);
    // Longer than a host that is busy with other tests leaves a thread waiting: a peer that is
    // taken for lost after the other's end has nobody here who would answer it again.
    wire.silence = seconds(20);
    auto made = stream::make_bulk_server(
        wire, endpoint, clock,
        [this](std::unique_ptr<stream::Arrival> arrival) { served_.set_value(arrival->accept()); });
    server = std::move(made).value();
    dialled = stream::make_dial(wire, endpoint, "", opening, clock);
  }
  // Waits until the other side has dialled.
  std::unique_ptr<stream::Link> served() { return served_.get_future().get(); }

  ZmqContext context;
  stream::Wire wire;
  std::unique_ptr<stream::BulkServer> server;
  std::unique_ptr<stream::Link> dialled;

 private:
  std::promise<std::unique_ptr<stream::Link>> served_;
};

}  // namespace lockstep::test
