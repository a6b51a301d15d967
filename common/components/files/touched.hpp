// TouchedPaths: where a btrfs snapshot may differ from an earlier one of the same subvolume, as
// btrfs itself tells (btrfs_changes.hpp), sorted on disk.
//
// What is promised: an entry whose path is not in the list, nor inside one of the list that has
// `below`, has the same path, inode, content and metadata in both snapshots. Why: the stream turns
// the one into the other by commands, in any of whose paths each directory on the way is where it
// was in the earlier snapshot, or was put there by a command that is listed with `below`; and for
// each inode that changed in anything there is a command with one of its names. To those the other
// names of such an inode are added. (fs/btrfs/send.c: process_recorded_refs,
// finish_inode_if_needed.)
//
// Thread rule: one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/components/files/send_parser.hpp"
#include "common/components/files/sorted_strings.hpp"

namespace lockstep::files {

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
  std::uint64_t base_root = 0;  // the earlier one's root id
  std::string inside;           // the way from the root to the set; "" where it is the set
  std::function<bool(const std::string&, bool)> left_out;  // of the set (path, is a directory)
  std::string scratch;
  std::string where;
};

// The list, in paths of the set, ready to be read; nothing where btrfs will not tell (no right to
// ask, too much has changed to be worth it, a kernel that speaks otherwise): then all is walked.
// Errors: source-read, and those of the scratch file.
Result<std::unique_ptr<TouchedPaths>> touched_paths(os::Disk& disk, const TouchedRequest& request);

// The first in manifest order of an inode's names that belong to the set; nothing where btrfs does
// not tell all of them.
Result<std::optional<std::string>> first_name_in_set(const TouchedRequest& request,
                                                     std::uint64_t inode);

}  // namespace lockstep::files
