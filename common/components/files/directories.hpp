// Directories: opened directories below a root, so that each entry costs one call relative to its
// directory and no path is resolved twice. No symbolic link is ever followed on the way.
//
// Thread rule: any thread; what get() returns stays open for as long as it is held.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "common/os/disk.hpp"

namespace lockstep::files {

// openat2(2) beneath `root`; where the kernel has none or the path is too long for it, component
// by component with the same guarantee. "" is the root itself.
os::Sys<os::Fd> open_directory_beneath(os::Disk& disk, int root, std::string_view path);

// "a/b" of "a/b/c"; "" of "c". And "c" of both.
std::string_view directory_of(std::string_view path);
std::string_view last_name(std::string_view path);

struct Directory {
  os::Fd fd;
  // For who writes there (tree_writer.hpp): made ready for writing, and what new files get.
  bool ready = false;
  bool owner_known = false;
  uid_t new_uid = 0;
  gid_t new_gid = 0;
  mode_t known = 0;   // the bits of a mode that were asked for once
  mode_t passed = 0;  // those of them that files got: no umask took them, and no mount
  mode_t added = 0;   // bits that files got unasked (a mount's doing)
};

class Directories {
 public:
  // `root` must outlive the object.
  Directories(os::Disk& disk, int root, std::size_t limit = 64);

  os::Sys<std::shared_ptr<Directory>> get(std::string_view path);
  // Forgets `path` and everything inside it: it was removed or replaced.
  void forget(std::string_view path);

 private:
  using Entry = std::pair<std::string, std::shared_ptr<Directory>>;

  os::Disk& disk_;
  int root_;
  std::size_t limit_;
  std::mutex mutex_;
  std::list<Entry> newest_first_;
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_path_;  // views into the list
};

}  // namespace lockstep::files
