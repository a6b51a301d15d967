// Production: the sender's packs, made ahead of what the wire takes: one thread plans and hashes
// what others list and read (planner.hpp), a pool compresses, and packs come out in their order.
//
// Thread rule: one thread uses it; its own threads end with it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/clock/moment.hpp"
#include "common/stream/planner.hpp"
#include "common/stream/send.hpp"

namespace lockstep::stream {

struct ProductionOptions {
  std::string transfer;
  std::uint64_t epoch = 0;
  Compress compress = Compress::automatic;
  unsigned threads = 2;
  std::uint64_t skip_to = 0;  // packs up to this one are made for their chain alone
};

// Ready for the wire.
struct WirePack {
  PackHeader header;
  std::unique_ptr<Buffer> body;
  std::uint64_t content = 0;
};

class Production {
 public:
  Production(os::Disk& disk, PlanJob job, const ProductionOptions& options);
  Production(const Production&) = delete;
  Production& operator=(const Production&) = delete;
  ~Production();

  // The next pack; nothing where none is ready within `timeout`, or where ended().
  Result<std::optional<WirePack>> next(Nanos timeout);
  bool ended() const;
  const ManifestSummary& summary() const { return *summary_; }  // once ended
  std::uint64_t walked() const { return walked_.load(std::memory_order_relaxed); }
  std::uint64_t steps() const { return steps_.load(std::memory_order_relaxed); }  // it moves
  // Told by who sends: whether the wire is what the transfer waits for.
  void wire_is_slow(bool slow) { slow_.store(slow, std::memory_order_relaxed); }

 private:
  struct Slot {
    WirePack pack;
    enum class State { raw, claimed, ready } state = State::raw;
  };

  void walk(PlanJob job, os::Disk& disk, const std::stop_token& stop);
  void compress(const std::stop_token& stop);
  Result<void> put(RawPack pack, const std::stop_token& stop);

  const ProductionOptions options_;
  std::atomic<std::uint64_t> walked_{0};
  std::atomic<std::uint64_t> steps_{0};
  std::atomic<bool> slow_{false};

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::shared_ptr<Slot>> slots_;  // in order
  std::optional<Error> error_;
  std::optional<ManifestSummary> summary_;
  std::vector<std::jthread> threads_;
};

}  // namespace lockstep::stream
