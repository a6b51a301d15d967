// Pipe: what lies between a channel and the thread that owns its socket. Frames are moved through
// it, never copied.
//
// Thread rule: any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "common/os/fd.hpp"
#include "common/stream/channel.hpp"

namespace lockstep::stream {

// A peer that has more than this waiting for us has sent what no credit allows.
inline constexpr std::uint64_t kInboundLimit = 64 << 20;

// Wakes a thread that polls (eventfd(2)).
class Waker {
 public:
  Waker();
  int descriptor() const { return fd_.get(); }
  void wake();
  void drain();

 private:
  os::Fd fd_;
};

class Pipe {
 public:
  explicit Pipe(std::shared_ptr<Waker> waker) : waker_(std::move(waker)) {}

  // The channel's side.
  Result<void> send(Frame frame);
  Result<std::optional<Frame>> receive(Nanos timeout, const std::stop_token& stop);
  std::uint64_t backlog() const;
  void hang_up();  // nobody reads any more; what was sent still goes

  // The socket's side.
  void deliver(Frame frame);       // closes the pipe where the peer floods it
  std::optional<Frame> take();     // next to send
  void put_back(Frame frame);      // it could not be sent yet
  void sent(std::uint64_t bytes);  // of what take() gave
  void close(const Error& why);    // what was delivered can still be read
  bool hung_up() const;
  bool closed() const;
  bool idle() const;  // nothing to send

 private:
  std::shared_ptr<Waker> waker_;
  mutable std::mutex mutex_;
  std::condition_variable_any arrived_;
  std::deque<Frame> in_;
  std::deque<Frame> out_;
  std::uint64_t in_bytes_ = 0;
  std::uint64_t out_bytes_ = 0;  // taken and not yet sent ones included
  std::optional<Error> closed_;
  bool hung_up_ = false;
};

class PipeChannel final : public Channel {
 public:
  // `keeper` is let go of after the pipe was hung up: a dialled channel's thread lies behind it.
  PipeChannel(std::shared_ptr<Pipe> pipe, std::shared_ptr<void> keeper)
      : keeper_(std::move(keeper)), pipe_(std::move(pipe)) {}
  ~PipeChannel() override { pipe_->hang_up(); }
  Result<void> send(Frame frame) override { return pipe_->send(std::move(frame)); }
  Result<std::optional<Frame>> receive(Nanos timeout, std::stop_token stop) override {
    return pipe_->receive(timeout, stop);
  }
  std::uint64_t backlog() const override { return pipe_->backlog(); }

 private:
  std::shared_ptr<void> keeper_;
  std::shared_ptr<Pipe> pipe_;
};

}  // namespace lockstep::stream
