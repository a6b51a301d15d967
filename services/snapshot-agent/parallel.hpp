// Runs a function for each of n things at once, a thread each, and waits for all.
#pragma once

#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

namespace lockstep::snapshot {

inline void in_parallel(std::size_t n, const std::function<void(std::size_t)>& work) {
  if (n == 1) return work(0);
  std::vector<std::jthread> threads;
  threads.reserve(n);
  for (std::size_t i = 0; i < n; ++i) threads.emplace_back([&work, i] { work(i); });
}

}  // namespace lockstep::snapshot
