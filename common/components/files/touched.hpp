// TouchedPaths: where a btrfs snapshot may differ from an earlier one of the same subvolume, as
// btrfs itself tells (btrfs_tree.hpp), sorted on disk.
//
// What is promised: an entry of either whose path is not in the list, nor inside one of the list
// that has `below`, has the same path, inode, content and metadata in both snapshots. Why: both
// begin at the same root. What a directory has by some name is another inode only if the
// directory's own inode was written since; then its names in the two snapshots are compared, and
// each that differs is listed, with `below` where it is a directory's in either. By steps from the
// root, what is not listed is the same inode; and an inode that was written since is listed by all
// its names. (fs/btrfs/inode.c: each change of a file, of its names or of a directory updates the
// inode item, which then bears the number of the transaction.)
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/components/files/sorted_strings.hpp"

namespace lockstep::files {

struct Touched {
  std::string path;    // relative to the subvolume; "" its root
  bool below = false;  // and everything that lies inside it, in either snapshot
};

// A list of paths in manifest order, each once.
class TouchedPaths {
 public:
  TouchedPaths(os::Disk& disk, const std::string& scratch, const std::string& where);

  Result<void> add(const Touched& touched);
  Result<void> finish();
  Result<std::optional<Touched>> next();

 private:
  SortBudget budget_;
  SortedStrings sorted_;
  std::string before_;
  bool any_ = false;
};

struct TouchedRequest {
  int subvolume = -1;           // the later snapshot, opened at its root
  std::uint64_t base_tree = 0;  // the earlier one's: SubvolumeInfo::id, made
  std::uint64_t base_made = 0;
  std::string inside;  // the way from the root to the set; "" where it is the set
  std::function<bool(const std::string&, bool)> left_out;  // of the set (path, is a directory)
  std::string scratch;
  std::string where;
};

// The list, in paths of the set, ready to be read; nothing where btrfs will not tell (no right to
// ask, too much has changed to be worth it): then all is walked.
// Errors: source-read, and those of the scratch file.
Result<std::unique_ptr<TouchedPaths>> touched_paths(os::Disk& disk, const TouchedRequest& request);

// The first in manifest order of an inode's names that belong to the set; nothing where btrfs does
// not tell all of them.
Result<std::optional<std::string>> first_name_in_set(const TouchedRequest& request,
                                                     std::uint64_t inode);

}  // namespace lockstep::files
