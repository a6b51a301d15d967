#include "common/stream/production.hpp"

#include <algorithm>
#include <chrono>

#include "common/os/give_way.hpp"
#include "common/stream/compress.hpp"

namespace lockstep::stream {
namespace {

constexpr std::size_t kAhead = 8;  // packs made and not taken

// The service whose data it is comes first; and who receives on the same machine, for it is what
// the others wait for (nice(1)).
constexpr int kAfterTheService = 5;

}  // namespace

Production::Production(os::Disk& disk, PlanJob job, const ProductionOptions& options)
    : options_(options) {
  threads_.emplace_back([this, &disk, job = std::move(job)](const std::stop_token& stop) mutable {
    walk(std::move(job), disk, stop);
  });
  if (options_.compress == Compress::off) return;
  for (unsigned i = 0; i < std::clamp(options_.threads, 1U, 16U); ++i)
    threads_.emplace_back([this](const std::stop_token& stop) { compress(stop); });
}

Production::~Production() {
  for (auto& thread : threads_) thread.request_stop();
  changed_.notify_all();
  threads_.clear();
}

void Production::walk(PlanJob job, os::Disk& disk, const std::stop_token& stop) {
  os::give_way(kAfterTheService);  // the threads that read ahead are started by this one
  job.stop = stop;
  job.walked = [this](std::uint64_t entries) {
    walked_.store(entries, std::memory_order_relaxed);
    steps_.fetch_add(1, std::memory_order_relaxed);
  };
  job.moved = [this] { steps_.fetch_add(1, std::memory_order_relaxed); };
  PackBuilder builder(options_.transfer, options_.epoch,
                      [this, &stop](RawPack pack) { return put(std::move(pack), stop); });
  auto planned = plan(disk, job, builder);
  {
    const std::lock_guard lock(mutex_);
    if (planned)
      summary_ = *planned;
    else
      error_ = planned.error();
  }
  changed_.notify_all();
}

Result<void> Production::put(RawPack pack, const std::stop_token& stop) {
  auto slot = std::make_shared<Slot>();
  const bool skipped = pack.header.sequence <= options_.skip_to;
  if (skipped) pack.body.reset();
  slot->pack = {pack.header, std::move(pack.body), pack.content};
  if (skipped || options_.compress == Compress::off) slot->state = Slot::State::ready;
  {
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, stop, [this] { return slots_.size() < kAhead; }))
      return make_error(ErrorCode::cancelled, "sending was stopped");
    slots_.push_back(std::move(slot));
  }
  changed_.notify_all();
  return {};
}

void Production::compress(const std::stop_token& stop) {
  os::give_way(kAfterTheService);
  Compressor compressor;
  while (true) {
    std::shared_ptr<Slot> slot;
    {
      std::unique_lock lock(mutex_);
      const bool found = changed_.wait(lock, stop, [&] {
        const auto raw = std::find_if(slots_.begin(), slots_.end(), [](const auto& one) {
          return one->state == Slot::State::raw;
        });
        if (raw == slots_.end()) return false;
        slot = *raw;
        slot->state = Slot::State::claimed;
        return true;
      });
      if (!found) return;
    }
    WirePack& pack = slot->pack;
    if (options_.compress == Compress::always || slow_.load(std::memory_order_relaxed)) {
      if (auto smaller = compressor.compress(*pack.body)) {
        pack.body = std::move(smaller);
        pack.header.codec = Codec::zstd;
        pack.header.wire_length = static_cast<std::uint32_t>(pack.body->size());
      }
    }
    {
      const std::lock_guard lock(mutex_);
      slot->state = Slot::State::ready;
    }
    changed_.notify_all();
  }
}

Result<std::optional<WirePack>> Production::next(Nanos timeout) {
  std::unique_lock lock(mutex_);
  const auto ready = [this] {
    return !slots_.empty() && slots_.front()->state == Slot::State::ready;
  };
  changed_.wait_for(lock, std::chrono::nanoseconds(timeout.count),
                    [&] { return ready() || (slots_.empty() && (error_ || summary_)); });
  if (!ready()) {
    if (slots_.empty() && error_) return *error_;
    return std::optional<WirePack>();
  }
  WirePack pack = std::move(slots_.front()->pack);
  slots_.pop_front();
  lock.unlock();
  changed_.notify_all();
  return std::optional<WirePack>(std::move(pack));
}

bool Production::ended() const {
  const std::lock_guard lock(mutex_);
  return slots_.empty() && summary_.has_value();
}

}  // namespace lockstep::stream
