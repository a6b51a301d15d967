// Tasks: the threads of this service, by the run they work for, so that a run's work can be stopped
// and waited for before its traces are removed or a later attempt begins.
//
// Thread rule: any thread. wait() must not be called by a task of the same run for itself: it waits
// for those that were started before `before`.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

namespace lockstep::transfer {

class Tasks {
 public:
  using Id = std::uint64_t;
  using Work = std::function<void(Id self, std::stop_token stop)>;

  Tasks() = default;
  Tasks(const Tasks&) = delete;
  Tasks& operator=(const Tasks&) = delete;
  ~Tasks() { shut_down(); }

  // `run` may be empty: work that belongs to no run. After shut_down() nothing is started.
  void start(const std::string& run, Work work);
  // Asks all tasks of the run, or those before `before`, to stop.
  void stop(const std::string& run, Id before = UINT64_MAX);
  void wait(const std::string& run, Id before = UINT64_MAX);
  // Whether a task of the run is at work.
  bool busy(const std::string& run) const;
  // Stops and joins all.
  void shut_down();

 private:
  struct Task {
    Id id = 0;
    std::string run;
    std::stop_source stop;
    bool ended = false;
    std::thread thread;
  };

  void reap();

  mutable std::mutex guard_;
  std::condition_variable changed_;
  std::list<Task> tasks_;
  Id next_ = 1;
  bool shut_ = false;
};

}  // namespace lockstep::transfer
