// Intake: the receiver's first half. A thread that takes frames off the channel, checks each pack's
// header, order, credit and digest, decompresses it, and queues what is good for the applier.
//
// Thread rule: one thread uses it; its own thread ends with it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

#include "common/stream/channel.hpp"
#include "common/stream/control.hpp"
#include "common/stream/pack.hpp"

namespace lockstep::stream {

// A pack whose body is what its header says.
struct CheckedPack {
  PackHeader header;
  Blob wire;                    // where the body was not compressed
  std::unique_ptr<Buffer> raw;  // where it was
  std::span<const std::byte> body() const {
    return raw ? std::span<const std::byte>(*raw) : wire.bytes();
  }
  // All of them; they show into the body. Error: stream-hostile, for what is no record, and for
  // more or fewer than the header says.
  Result<std::vector<Record>> records() const;
};
using Item = std::variant<CheckedPack, Control>;

struct IntakeOptions {
  Digest128 transfer{};
  std::uint64_t epoch = 0;
  std::uint64_t window = 0;
  std::uint64_t sequence = 0;  // the pack before the first that may come
  Digest128 chain{};           // after it
};

class Decompressor;

class Intake {
 public:
  Intake(Channel& channel, const IntakeOptions& options);
  Intake(const Intake&) = delete;
  Intake& operator=(const Intake&) = delete;
  ~Intake();

  // The next item, or nothing within `timeout`. Errors: the channel's, stream-hostile,
  // stream-digest; they come after all that was good.
  Result<std::optional<Item>> next(Nanos timeout, const std::stop_token& stop);
  // While its user is busy with what it took, the sender hears every two seconds that work goes on.
  // Credit that was given back: so much more may come.
  void release(std::uint64_t raw_bytes) { released_.fetch_add(raw_bytes); }
  // The sender starts from its first pack again. Called while handling its `restart`, after which
  // nothing comes until it was answered.
  void restart();

 private:
  void tell_of_work();
  void take_in(const std::stop_token& stop);
  Result<Item> check(Frame frame, Decompressor& decompressor);

  Channel& channel_;
  const IntakeOptions options_;
  std::atomic<std::uint64_t> released_{0};
  std::atomic<bool> idle_{false};  // who uses it waits for items

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Item> items_;
  std::optional<Error> error_;
  // What the next pack must be.
  std::uint64_t sequence_;
  Digest128 chain_;
  std::uint64_t received_ = 0;
  std::chrono::steady_clock::time_point told_{};  // used by the thread alone
  std::jthread thread_;
};

}  // namespace lockstep::stream
