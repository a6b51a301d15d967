#include "services/transfer-agent/store_watch.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace lockstep::transfer {

StoreWatch::StoreWatch(std::vector<Store> stores, const Clock& clock) : clock_(clock) {
  for (Store& store : stores) {
    stores_.emplace_back();
    stores_.back().store = std::move(store);
  }
}

std::vector<StoreWatch::Told> StoreWatch::look() {
  std::unique_lock lock(mutex_);
  for (One& one : stores_) {
    ++one.wanted;
    if (one.thread.joinable()) continue;
    one.since = clock_.mono();
    one.thread = std::jthread([this, &one](const std::stop_token& stop) { serve(one, stop); });
  }
  changed_.notify_all();
  changed_.wait_for(lock, std::chrono::nanoseconds(kMoment.count), [this] {
    return std::all_of(stores_.begin(), stores_.end(),
                       [](const One& one) { return one.none || one.done == one.wanted; });
  });
  std::vector<Told> out;
  for (const One& one : stores_) {
    if (one.none) continue;
    const Nanos silent = clock_.mono() - one.since;
    if (silent > kSilence) {
      out.push_back({one.store.kind,
                     {false, "has not told for " + std::to_string(silent.count / 1'000'000'000) +
                                 " s how it is"}});
    } else if (one.known) {
      out.push_back({one.store.kind, *one.known});
    }
  }
  return out;
}

void StoreWatch::serve(One& one, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [&one] { return one.done != one.wanted; }) &&
         !stop.stop_requested()) {
    const unsigned long answered = one.wanted;
    const MonoNanos begun = clock_.mono();
    lock.unlock();
    auto health = one.store.look();
    lock.lock();
    one.none = !health;
    one.known = std::move(health);
    one.since = begun;
    one.done = answered;
    changed_.notify_all();
    if (one.none) return;
  }
}

}  // namespace lockstep::transfer
