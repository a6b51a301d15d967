// Conversation: one peer as the thread that owns the socket sees it: its pipe, and when either side
// said something last.
//
// Thread rule: the socket's thread.
#pragma once

#include <memory>
#include <string>

#include "common/clock/clock.hpp"
#include "common/stream/bulk_socket.hpp"
#include "common/stream/pipe.hpp"

namespace lockstep::stream {

class Conversation {
 public:
  Conversation(std::string peer, std::shared_ptr<Pipe> pipe, MonoNanos now)
      : peer_(std::move(peer)), pipe_(std::move(pipe)), heard_(now), said_(now) {}

  Pipe& pipe() { return *pipe_; }
  const std::shared_ptr<Pipe>& shared_pipe() const { return pipe_; }

  // A frame came. Pings end here.
  void heard(Frame frame, MonoNanos now);
  // Sends what waits, pings where nothing was said for long; closes the pipe where the peer is gone
  // or silent. False where it has to be called again soon: something still waits for room, or what
  // a peer that is gone has said is to be received first.
  bool serve(BulkSocket& socket, const Wire& wire, MonoNanos now);
  // Over: the socket's thread forgets it.
  bool over() const { return pipe_->closed() || (pipe_->hung_up() && pipe_->idle()); }

 private:
  std::string peer_;
  std::shared_ptr<Pipe> pipe_;
  MonoNanos heard_;
  MonoNanos said_;
  // It left: what it said before still lies in the socket, and is heard before the pipe closes.
  bool leaving_ = false;
};

}  // namespace lockstep::stream
