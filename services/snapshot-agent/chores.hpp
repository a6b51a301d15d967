// Work that may take long and that nobody waits for: one thread at a time does it.
//
// ask() returns at once, whatever is being done; what is asked for meanwhile is done once more
// afterwards. ask() by one thread; `work` runs on a thread of its own and is not called again once
// it has returned false. The end of this object waits for what is being done.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <utility>

namespace lockstep::snapshot {

class Chores {
 public:
  explicit Chores(std::function<bool()> work) : work_(std::move(work)) {}

  void ask() {
    if (wanted_.fetch_add(1) != 0) return;
    thread_ = std::jthread([this] {  // the one before has nothing left to do but to end
      int seen = 0;
      do {
        seen = wanted_.load();
        if (!work_()) return;  // asked for from here on in vain
      } while (wanted_.fetch_sub(seen) != seen);
    });
  }

 private:
  std::function<bool()> work_;
  std::atomic<int> wanted_{0};
  std::jthread thread_;
};

}  // namespace lockstep::snapshot
