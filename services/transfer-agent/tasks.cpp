#include "services/transfer-agent/tasks.hpp"

#include <algorithm>

namespace lockstep::transfer {

void Tasks::start(const std::string& run, Work work) {
  const std::scoped_lock lock(guard_);
  if (shut_) return;
  reap();
  Task& task = tasks_.emplace_back();
  task.id = next_++;
  task.run = run;
  // The list never moves its elements, and a task is removed only after its thread was joined.
  task.thread = std::thread([this, &task, work = std::move(work)] {
    work(task.id, task.stop.get_token());
    const std::scoped_lock ended(guard_);
    task.ended = true;
    changed_.notify_all();
  });
}

// Joins threads that have ended; they hold no lock any more when `ended` is seen under the lock.
void Tasks::reap() {
  tasks_.remove_if([](Task& task) {
    if (!task.ended) return false;
    task.thread.join();
    return true;
  });
}

void Tasks::stop(const std::string& run, Id before) {
  const std::scoped_lock lock(guard_);
  for (auto& task : tasks_) {
    if (task.run == run && task.id < before) task.stop.request_stop();
  }
}

void Tasks::wait(const std::string& run, Id before) {
  std::unique_lock lock(guard_);
  changed_.wait(lock, [&] {
    return std::none_of(tasks_.begin(), tasks_.end(), [&](const Task& task) {
      return task.run == run && task.id < before && !task.ended;
    });
  });
}

bool Tasks::busy(const std::string& run) const {
  const std::scoped_lock lock(guard_);
  return std::any_of(tasks_.begin(), tasks_.end(),
                     [&](const Task& task) { return task.run == run && !task.ended; });
}

void Tasks::shut_down() {
  {
    const std::scoped_lock lock(guard_);
    shut_ = true;
    for (auto& task : tasks_) task.stop.request_stop();
  }
  // Nothing is added any more, so that the list may be walked without the lock that tasks need.
  for (auto& task : tasks_) {
    if (task.thread.joinable()) task.thread.join();
  }
  const std::scoped_lock lock(guard_);
  tasks_.clear();
}

}  // namespace lockstep::transfer
