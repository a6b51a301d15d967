// Walk: visits a data set's tree in manifest order while it is pinned, with what the policy leaves
// out left out. Descriptors and memory are bounded (tree_walk.hpp).
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "common/components/files/exclude.hpp"
#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

// One entry of the tree. The references hold during the call only.
struct Node {
  const std::string& path;  // relative to the root; the root's is ""
  int directory;            // descriptor of the directory it lies in; of the root: itself
  const std::string& name;
  const struct ::stat& stat;
  std::int64_t ctime_ns() const;
};

class Visitor {
 public:
  virtual ~Visitor() = default;
  // A directory, before what it holds.
  virtual Result<void> enter(const Node& node) = 0;
  // The same directory, after what it holds. Its descriptor is -1 where a live walk found it gone.
  virtual Result<void> leave(const Node& node, int descriptor) = 0;
  // Anything but a directory.
  virtual Result<void> entry(const Node& node) = 0;
};

struct WalkOptions {
  std::string shown;    // the set's place, for messages
  std::string scratch;  // a directory for scratch files
  // While writers may be at work: what vanishes between two looks is passed over. Else that is
  // set-changed.
  bool live = false;
  // Only directories are looked at (entry() is not called): enough to find nested subvolumes.
  bool directories_only = false;
  std::stop_token stop;
  std::function<void()> walked = {};  // after each directory's names: the walk moves
};

// Errors: nested-mount (a mount or subvolume inside, named), permission, source-read, set-changed,
// source-special (a path that is too long), cancelled, and whatever the visitor returns.
Result<void> walk(os::Disk& disk, int root, const Exclude& exclude, const WalkOptions& options,
                  Visitor& visitor);

}  // namespace lockstep::files
