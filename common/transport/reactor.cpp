#include "common/transport/reactor.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "common/os/fd.hpp"
#include "common/transport/loop.hpp"

namespace lockstep::transport {

namespace {

// What a signal handler may do is write(2); the loop wakes up and stops.
std::atomic<int> signal_descriptor{-1};

void wake_by_signal(int /*number*/) {
  const int saved = errno;
  const std::uint64_t one = 1;
  // A full counter is as good as one more.
  [[maybe_unused]] const auto written = ::write(signal_descriptor.load(), &one, sizeof one);
  errno = saved;
}

// SIGTERM and SIGINT go to `descriptor` as long as it lives.
class SignalWatch {
 public:
  explicit SignalWatch(int descriptor) {
    signal_descriptor.store(descriptor);
    struct ::sigaction action {};
    action.sa_handler = wake_by_signal;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGTERM, &action, &old_term_);
    ::sigaction(SIGINT, &action, &old_int_);
  }
  ~SignalWatch() {
    ::sigaction(SIGTERM, &old_term_, nullptr);
    ::sigaction(SIGINT, &old_int_, nullptr);
    signal_descriptor.store(-1);
  }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  struct ::sigaction old_term_ {};
  struct ::sigaction old_int_ {};
};

os::Fd make_counter() {
  os::Fd made{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!made) std::abort();  // no descriptors at the very start
  return made;
}

bool take(int descriptor) {
  std::uint64_t count = 0;
  return ::read(descriptor, &count, sizeof count) > 0;
}

class ZmqLoop final : public Loop {
 public:
  ZmqLoop(const Clock& clock, bool handle_signals)
      : clock_(clock), context_(process_context()), wake_(make_counter()), signal_(make_counter()) {
    if (handle_signals) signals_ = std::make_unique<SignalWatch>(signal_.get());
  }

  void post(Task task) override {
    {
      const std::lock_guard lock(mutex_);
      posted_.push_back(std::move(task));
    }
    wake();
  }

  TimerId after(Nanos delay, Task task) override { return arm(delay, Nanos{}, std::move(task)); }
  TimerId every(Nanos period, Task task) override {
    // A period of nothing would leave no time for anything else.
    const Nanos least = std::max(period, milliseconds(1));
    return arm(least, least, std::move(task));
  }
  void cancel(TimerId timer) override {
    const auto found = timers_.find(timer);
    if (found == timers_.end()) return;
    due_.erase({found->second.at, timer});
    timers_.erase(found);
  }

  WatchId watch(void* socket, Task ready) override {
    watches_.emplace(++last_id_, Watch{socket, std::make_shared<Task>(std::move(ready))});
    return last_id_;
  }
  void unwatch(WatchId watch) override { watches_.erase(watch); }
  bool watched(WatchId watch) const override { return watches_.contains(watch); }

  bool running() const override { return running_; }
  const std::shared_ptr<Context>& context() const override { return context_; }

  void run() override {
    running_ = true;
    while (!stop_.exchange(false)) {
      if (!turn()) break;
    }
    running_ = false;
  }

  void stop() override {
    stop_.store(true);
    wake();
  }

 private:
  struct Timer {
    MonoNanos at;
    Nanos period;  // nothing: once
    std::shared_ptr<Task> task;
  };
  struct Watch {
    void* socket;
    std::shared_ptr<Task> ready;
  };

  void wake() {
    const std::uint64_t one = 1;
    // A full counter is as good as one more.
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
  }

  TimerId arm(Nanos delay, Nanos period, Task task) {
    const TimerId id = ++last_id_;
    const MonoNanos at = clock_.mono() + std::max(delay, Nanos{});
    timers_.emplace(id, Timer{at, period, std::make_shared<Task>(std::move(task))});
    due_.emplace(std::pair{at, id});
    return id;
  }

  long wait_milliseconds() const {
    if (due_.empty()) return -1;
    const Nanos left = due_.begin()->first - clock_.mono();
    if (left.count <= 0) return 0;
    return static_cast<long>(std::min<std::int64_t>((left.count + 999'999) / 1'000'000, 3'600'000));
  }

  // Waits once and does what has come. False: a signal asks for the end.
  bool turn() {
    std::vector<zmq_pollitem_t> items{{nullptr, wake_.get(), ZMQ_POLLIN, 0},
                                      {nullptr, signal_.get(), ZMQ_POLLIN, 0}};
    std::vector<WatchId> ids;
    for (const auto& [id, watch] : watches_) {
      items.push_back({watch.socket, 0, ZMQ_POLLIN, 0});
      ids.push_back(id);
    }
    if (::zmq_poll(items.data(), static_cast<int>(items.size()), wait_milliseconds()) < 0) {
      if (errno == EINTR) return true;
      std::abort();  // a socket that was closed while it was watched
    }
    if (take(signal_.get())) return false;
    if (items[0].revents != 0) take(wake_.get());
    run_posted();
    run_timers();
    for (std::size_t i = 0; i < ids.size() && !stop_.load(); ++i) {
      const auto found = watches_.find(ids[i]);
      if (items[i + 2].revents == 0 || found == watches_.end()) continue;
      const std::shared_ptr<Task> ready = found->second.ready;  // it may unwatch itself
      (*ready)();
    }
    return true;
  }

  void run_posted() {
    std::vector<Task> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(posted_);
    }
    for (auto& task : tasks) task();
  }

  void run_timers() {
    const MonoNanos now = clock_.mono();
    // What a task arms at `now` or later waits for the next turn, so that sockets get theirs.
    std::vector<TimerId> ready;
    for (auto it = due_.begin(); it != due_.end() && it->first <= now; ++it) {
      ready.push_back(it->second);
    }
    for (const TimerId id : ready) {
      const auto found = timers_.find(id);
      if (found == timers_.end()) continue;  // cancelled by one before it
      const std::shared_ptr<Task> task = found->second.task;
      due_.erase({found->second.at, id});
      if (found->second.period.count == 0) {
        timers_.erase(found);
      } else {
        found->second.at = std::max(found->second.at + found->second.period, now);
        due_.emplace(std::pair{found->second.at, id});
      }
      (*task)();
    }
  }

  const Clock& clock_;
  std::shared_ptr<Context> context_;
  os::Fd wake_;
  os::Fd signal_;
  std::unique_ptr<SignalWatch> signals_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> running_{false};

  std::mutex mutex_;
  std::vector<Task> posted_;

  std::uint64_t last_id_ = 0;
  std::map<TimerId, Timer> timers_;
  std::set<std::pair<MonoNanos, TimerId>> due_;
  std::map<WatchId, Watch> watches_;
};

}  // namespace

std::unique_ptr<Reactor> make_reactor(const Clock& clock, bool handle_signals) {
  return std::make_unique<ZmqLoop>(clock, handle_signals);
}

Loop& loop_of(Reactor& reactor) {
  auto* loop = dynamic_cast<Loop*>(&reactor);
  if (loop == nullptr) std::abort();
  return *loop;
}

}  // namespace lockstep::transport
