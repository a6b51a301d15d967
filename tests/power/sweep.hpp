// A sweep: the power goes at one changing call after another, each time with other luck for what
// was not synced.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>

#include "tests/support/lossy_disk.hpp"
#include "tests/support/scratch.hpp"

namespace lockstep::test {

inline bool all_of_it() {
  const char* full = std::getenv("LOCKSTEP_TEST_FULL");
  return full != nullptr && std::string(full) == "1";
}

// A disk whose power can go, over directories of its own: `top` for the data, a grave beside it.
// In memory where there is a tmpfs: what is durable is the LossyDisk's to say.
struct LosingDisk {
  LosingDisk() {
    std::filesystem::create_directories(scratch / "data");
    std::filesystem::create_directories(scratch / "grave");
    disk.emplace(*kernel, scratch / "grave");
  }
  std::string top() const { return scratch / "data"; }

  Scratch scratch{std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp"};
  std::unique_ptr<os::Disk> kernel = os::make_kernel_disk();
  std::optional<LossyDisk> disk;
};

// Calls `live(calls, seed)` for calls = first, first + stride, ... until it says that it came to
// its end before the power went. Prints how many places there were.
inline void sweep(const std::string& what, std::uint64_t stride,
                  const std::function<bool(std::uint64_t calls, std::uint64_t seed)>& live) {
  std::uint64_t places = 0;
  std::uint64_t calls = 0;
  for (;; calls += stride) {
    ++places;
    if (live(calls, calls * 1'000'003 + 17)) break;
    if (places > 100'000) std::abort();  // it never comes to its end
  }
  // At the end everything has been answered: whatever the luck of what is not yet synced, it holds.
  for (std::uint64_t luck = 1; luck <= 12; ++luck) live(calls + 1000, luck);
  std::cout << what << ": power lost at " << places << " places\n";
}

}  // namespace lockstep::test
