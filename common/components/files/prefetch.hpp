// Prefetch: has ready what a TreeWriter will need of the files that its tree has from the base, on
// a thread of its own. A new snapshot's inodes and pages are in no cache: a writer that meets them
// one after the other waits for the disk at each, for the inode, and for the last page of a file,
// which it cannot write without reading it where the file does not end with a page.
//
// Only a hint: nothing depends on it, and what goes wrong here the writer meets itself.
//
// Thread rule: one thread adds; the object's own ends with it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "common/os/disk.hpp"

namespace lockstep::files {

class Prefetch {
 public:
  // `root` is the tree's, and stays open as long as the object lives.
  Prefetch(os::Disk& disk, int root);
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;
  ~Prefetch();

  // The regular file at `path`, of the tree, will have `size` bytes. Passed over where the thread
  // is far behind.
  void add(std::string path, std::uint64_t size);

 private:
  struct Wanted {
    std::string path;
    std::uint64_t size;
  };

  void work(const std::stop_token& stop);
  void look_at(const Wanted& wanted);

  os::Disk& disk_;
  const int root_;
  std::mutex mutex_;
  std::condition_variable_any added_;
  std::deque<Wanted> wanted_;
  std::jthread thread_;  // last: it uses all the others
};

}  // namespace lockstep::files
