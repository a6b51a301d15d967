// Body: the bytes of one file on their way from the thread that has them to the one that sends
// them.
//
// Thread rule: one thread adds, one takes, any may give up.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace lockstep::hdfs {

class Body {
 public:
  // Waits while `most` bytes are under way. False: somebody gave up.
  bool add(std::span<const std::byte> bytes);
  // Waits for bytes; 0: somebody gave up.
  std::size_t take(std::span<std::byte> into);
  void give_up();

 private:
  static constexpr std::size_t kMost = std::size_t{8} << 20U;
  void drop_first();

  std::mutex mutex_;
  std::condition_variable moved_;
  std::deque<std::string> pieces_;
  std::vector<std::string> spare_;  // their memory is used again
  std::size_t skip_ = 0;            // of the first piece
  std::size_t held_ = 0;
  bool given_up_ = false;
};

}  // namespace lockstep::hdfs
