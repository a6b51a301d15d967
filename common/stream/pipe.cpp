#include "common/stream/pipe.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>

namespace lockstep::stream {
namespace {

std::uint64_t size_of(const Frame& frame) { return frame.head.size() + frame.body.size(); }

}  // namespace

Waker::Waker() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Waker::wake() {
  const std::uint64_t one = 1;
  // It fails only when the counter is full, and then the thread is awake anyway.
  [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);
}

void Waker::drain() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(fd_.get(), &count, sizeof count);
}

Result<void> Pipe::send(Frame frame) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return *closed_;
    out_bytes_ += size_of(frame);
    out_.push_back(std::move(frame));
  }
  waker_->wake();
  return {};
}

Result<std::optional<Frame>> Pipe::receive(Nanos timeout, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const bool ready = arrived_.wait_for(lock, stop, std::chrono::nanoseconds(timeout.count),
                                       [this] { return !in_.empty() || closed_.has_value(); });
  if (!ready) return std::optional<Frame>();
  if (in_.empty()) return *closed_;
  Frame frame = std::move(in_.front());
  in_.pop_front();
  in_bytes_ -= size_of(frame);
  return std::optional<Frame>(std::move(frame));
}

std::uint64_t Pipe::backlog() const {
  const std::lock_guard lock(mutex_);
  return out_bytes_;
}

void Pipe::hang_up() {
  {
    const std::lock_guard lock(mutex_);
    hung_up_ = true;
    in_.clear();
    in_bytes_ = 0;
  }
  waker_->wake();
}

void Pipe::deliver(Frame frame) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || hung_up_) return;
    in_bytes_ += size_of(frame);
    in_.push_back(std::move(frame));
    if (in_bytes_ > kInboundLimit) {
      in_.clear();
      in_bytes_ = 0;
      closed_ = make_error(ErrorCode::stream_hostile, "the peer sent far more than its credit");
    }
  }
  arrived_.notify_all();
}

std::optional<Frame> Pipe::take() {
  const std::lock_guard lock(mutex_);
  if (out_.empty()) return std::nullopt;
  Frame frame = std::move(out_.front());
  out_.pop_front();
  return frame;
}

void Pipe::put_back(Frame frame) {
  const std::lock_guard lock(mutex_);
  out_.push_front(std::move(frame));
}

void Pipe::sent(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  out_bytes_ -= bytes;
}

void Pipe::close(const Error& why) {
  {
    const std::lock_guard lock(mutex_);
    if (!closed_) closed_ = why;
    out_.clear();
    out_bytes_ = 0;
  }
  arrived_.notify_all();
}

bool Pipe::hung_up() const {
  const std::lock_guard lock(mutex_);
  return hung_up_;
}

bool Pipe::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_.has_value();
}

bool Pipe::idle() const {
  const std::lock_guard lock(mutex_);
  return out_.empty();
}

}  // namespace lockstep::stream
