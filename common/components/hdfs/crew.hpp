// Crew: threads that do jobs, so that many requests are on their way at once.
//
// Thread rule: any thread; run() and each() may be called from several threads, not from a job.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lockstep::hdfs {

class Crew {
 public:
  explicit Crew(int threads);
  // Waits for what runs; what has not begun is not done.
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  void run(std::function<void()> job);
  // Calls `job` with 0 ... count - 1, and returns when all have ended.
  void each(std::size_t count, const std::function<void(std::size_t)>& job);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<std::function<void()>> jobs_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace lockstep::hdfs
