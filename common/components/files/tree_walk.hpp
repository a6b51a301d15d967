// TreeWalk: every entry below a root, depth first, the names of each directory sorted bytewise; a
// directory before what it holds, and once more when all of it has been passed. Descriptors and
// memory are bounded, however deep and wide the tree is.
//
// Thread rule: one thread.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/components/files/names.hpp"
#include "common/components/files/side.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

struct Visit {
  enum class What { entry, leave } what = What::entry;  // `leave`: of a directory only
  std::string path;                                     // relative to the root; "" is the root
  std::string name;                                     // in `parent`; "" for the root
  int parent = -1;  // descriptor of its directory, open until the next call; -1 for the root
  // Directories: their own descriptor, open until the next call; -1 where a live walk leaves one
  // that is no longer there.
  int self = -1;
  bool directory = false;
  struct ::stat info {};  // see TreeWalkOptions::stat_files
};

struct TreeWalkOptions {
  Side side = Side::source;
  // Where the walk starts, and ends when it has passed what it holds: "" for the whole tree.
  std::string start;
  // The start alone, without what it holds.
  bool alone = false;
  // Entries that are passed over, with all they hold. (path, is a directory)
  std::function<bool(const std::string&, bool)> skip;
  // While writers may be at work: what vanishes between two looks is passed over; else it is an
  // error.
  bool live = false;
  // False: `info` of what is no directory is left empty where the directory told its type.
  bool stat_files = true;
};

class TreeWalk {
 public:
  // `root` is the opened root, `where` its path for errors, `scratch` a directory for scratch
  // files.
  TreeWalk(os::Disk& disk, int root, std::string where, std::string scratch,
           TreeWalkOptions options);

  // Errors: those of the side (side.hpp), nested-mount, source-special (a path beyond 4,095 bytes).
  Result<std::optional<Visit>> next();

 private:
  struct Frame {
    std::string path;
    os::Fd fd;  // of the deepest frames only; opened again when needed
    struct ::stat info {};
    std::unique_ptr<SortedNames> names;
  };

  Result<std::optional<Visit>> begin();
  Result<std::optional<Visit>> leave();
  // Nothing, where a live walk finds it gone.
  Result<std::optional<int>> descriptor(Frame& frame);
  Result<std::optional<Visit>> enter(int parent, const std::string& name, std::string path);
  bool gone(os::Errno number) const;
  Result<void> check_inside(const struct ::stat& info, const std::string& path) const;
  Error error(os::Errno number, std::string_view act, std::string_view path) const;

  os::Disk& disk_;
  int root_;
  std::string where_;
  std::string scratch_;
  TreeWalkOptions options_;
  SortBudget budget_;
  std::vector<Frame> frames_;
  os::Fd left_;  // the descriptor that the last `leave` handed out
  os::Fd start_parent_;
  bool begun_ = false;
  bool btrfs_ = false;
  dev_t device_ = 0;
};

}  // namespace lockstep::files
