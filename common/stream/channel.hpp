// Channel and Link: how a transfer speaks to its peer, whoever connected to whom.
//
// A Channel is one connection; it ends with its peer or its network. A Link outlives channels: it
// gives the next one to the same peer for the same transfer. Who dialled makes a new socket
// and sends its opening message again; who was dialled waits for that.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "common/clock/moment.hpp"
#include "common/error/error.hpp"
#include "common/stream/blob.hpp"

namespace lockstep::stream {

// A message on the wire: a control frame alone, or a pack's header and body.
struct Frame {
  Blob head;
  Blob body;  // empty for control frames
};

// Keeps itself alive by pings on a thread of its own, so that a side that is busy is not taken for
// dead. Thread rule: send() from any thread, receive() from one at a time.
class Channel {
 public:
  virtual ~Channel() = default;
  // Takes the frame; never blocks (what may be under way is limited by the stream's credit). Error:
  // stream-peer-lost.
  virtual Result<void> send(Frame frame) = 0;
  // The next frame, or nothing when `timeout` passes or `stop` is requested. Errors:
  // stream-peer-lost (silence, a peer that restarted, or another channel took this one's place),
  // stream-hostile (it sent more than its credit).
  virtual Result<std::optional<Frame>> receive(Nanos timeout, std::stop_token stop) = 0;
  // Bytes that send() took and the wire has not.
  virtual std::uint64_t backlog() const = 0;
};

// The first message of a channel, sent by who connects.
struct Opening {
  enum class Kind { push, fetch } kind = Kind::push;  // push: I shall send; fetch: send to me
  std::string transfer;                               // the run's id
  std::string service;
  std::string set;
  int attempt = 1;
  std::uint64_t epoch = 0;  // number of the identity epoch
  std::string body;         // what the services say to each other, as MessagePack; at most 64 KiB

  std::string peer;  // not sent: who the peer is by its key (ZAP's User-Id); empty on plain text
};

// Thread rule: one thread, but for what is said at refuse().
class Link {
 public:
  virtual ~Link() = default;
  // The next channel. Tries until `timeout` has passed: stream-peer-lost then. What the peer
  // refused with is returned as it is, at once. cancelled when `stop` was requested.
  virtual Result<std::unique_ptr<Channel>> open(Nanos timeout, std::stop_token stop) = 0;
};

}  // namespace lockstep::stream
