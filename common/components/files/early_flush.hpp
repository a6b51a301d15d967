// EarlyFlush: has what is written go to the disk while more comes, on a thread of its own. The
// kernel begins to write when much of the memory is dirty; left to it, a transfer ends with a sync
// for which everybody waits.
//
// Nothing is durable by it: errors are the staging's own sync's to tell, which has a descriptor of
// its own for that (syncfs(2) tells an error once to each).
//
// Thread rule: one thread tells what it wrote; the object's own ends with it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "common/os/disk.hpp"

namespace lockstep::files {

class EarlyFlush {
 public:
  // `directory`: any of the file system's.
  EarlyFlush(os::Disk& disk, std::string directory);
  EarlyFlush(const EarlyFlush&) = delete;
  EarlyFlush& operator=(const EarlyFlush&) = delete;
  ~EarlyFlush();

  void wrote(std::uint64_t bytes);

 private:
  void work(const std::stop_token& stop);

  os::Disk& disk_;
  const std::string directory_;
  std::uint64_t since_ = 0;  // bytes, of who writes
  std::mutex mutex_;
  std::condition_variable_any asked_;
  bool wanted_ = false;
  std::jthread thread_;  // begun when there is enough for once; last: it uses all the others
};

}  // namespace lockstep::files
