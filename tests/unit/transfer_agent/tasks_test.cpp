#include "services/transfer-agent/tasks.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>

using namespace lockstep::transfer;
using namespace std::chrono_literals;

namespace {
void until_stopped(const std::stop_token& stop) {
  std::mutex guard;
  std::condition_variable_any changed;
  std::unique_lock lock(guard);
  changed.wait(lock, stop, [] { return false; });
}
}  // namespace

TEST_CASE("a run's tasks are stopped and waited for, others go on") {
  Tasks tasks;
  std::atomic<int> ended = 0;
  for (int i = 0; i < 3; ++i) {
    tasks.start("a", [&](Tasks::Id, std::stop_token stop) {
      until_stopped(stop);
      std::this_thread::sleep_for(20ms);
      ++ended;
    });
  }
  tasks.start("b", [&](Tasks::Id, std::stop_token stop) { until_stopped(stop); });
  tasks.stop("a");
  tasks.wait("a");
  CHECK(ended == 3);
  CHECK_FALSE(tasks.busy("a"));
  CHECK(tasks.busy("b"));
}

TEST_CASE("a later task waits for the earlier ones of its run, not for itself") {
  Tasks tasks;
  std::atomic<bool> first_ended = false;
  std::atomic<bool> in_order = false;
  tasks.start("a", [&](Tasks::Id, std::stop_token stop) {
    until_stopped(stop);
    first_ended = true;
  });
  tasks.stop("a");
  tasks.start("a", [&](Tasks::Id self, std::stop_token) {
    tasks.wait("a", self);
    in_order = first_ended.load();
  });
  tasks.wait("a");
  CHECK(in_order);
}

TEST_CASE("shutting down stops all and starts nothing more") {
  Tasks tasks;
  std::atomic<int> ran = 0;
  tasks.start("a", [&](Tasks::Id, std::stop_token stop) {
    ++ran;
    until_stopped(stop);
  });
  tasks.shut_down();
  tasks.start("a", [&](Tasks::Id, std::stop_token) { ++ran; });
  tasks.shut_down();
  CHECK(ran == 1);
}
