#include "common/components/hdfs/crew.hpp"

#include <algorithm>
#include <atomic>
#include <latch>
#include <utility>

namespace lockstep::hdfs {

Crew::Crew(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

Crew::~Crew() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    jobs_.clear();
  }
  more_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Crew::run(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  more_.notify_one();
}

void Crew::each(std::size_t count, const std::function<void(std::size_t)>& job) {
  std::atomic<std::size_t> next = 0;
  const std::size_t workers = std::min(count, threads_.size());
  std::latch done(static_cast<std::ptrdiff_t>(workers));
  for (std::size_t i = 0; i < workers; ++i) {
    run([&] {
      for (std::size_t at = next++; at < count; at = next++) job(at);
      done.count_down();
    });
  }
  done.wait();
}

void Crew::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    more_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    const auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

}  // namespace lockstep::hdfs
