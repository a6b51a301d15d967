#include "services/snapshot-agent/chores.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <semaphore>

using lockstep::snapshot::Chores;

TEST_CASE("Who asks for chores waits for none, and what is asked for meanwhile is done afterwards",
          "[chores]") {
  std::counting_semaphore<> begun{0};
  std::counting_semaphore<> may_end{0};
  std::atomic<int> at_once = 0;
  std::atomic<int> most = 0;
  std::atomic<int> rounds = 0;
  Chores chores([&] {
    most = std::max(most.load(), ++at_once);
    ++rounds;
    begun.release();
    may_end.acquire();
    --at_once;
    return true;
  });
  chores.ask();
  begun.acquire();
  for (int i = 0; i < 3; ++i) chores.ask();  // would hang here if it waited
  CHECK(rounds == 1);
  may_end.release();
  begun.acquire();  // once more for all three
  may_end.release();
  for (int i = 0; i < 1000; ++i) {
    chores.ask();
    begun.acquire();
    may_end.release();
  }
  CHECK(most == 1);
}

TEST_CASE("Chores that failed for good are not begun again", "[chores]") {
  std::atomic<int> rounds = 0;
  std::binary_semaphore begun{0};
  {
    Chores chores([&] {
      ++rounds;
      begun.release();
      return false;
    });
    chores.ask();
    begun.acquire();
    for (int i = 0; i < 3; ++i) chores.ask();
  }
  CHECK(rounds == 1);
}
