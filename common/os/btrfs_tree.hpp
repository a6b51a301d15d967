// The items of a btrfs subvolume's tree, read by BTRFS_IOC_TREE_SEARCH_V2 (linux/btrfs.h,
// linux/btrfs_tree.h): which inodes changed since a transaction, and the names in a directory. The
// kernel passes over what older tree blocks hold without reading it. Needs CAP_SYS_ADMIN: without
// it the error is EPERM. Of the trees of read-only snapshots, which stand still.
//
// Thread rule: one thread an object.
#pragma once

#include <linux/btrfs.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "common/os/disk.hpp"

namespace lockstep::os {

// Which items are asked for, and the answers, one by one.
class TreeSearch {
 public:
  // Any descriptor of the file system; 0 is the tree of the subvolume it lies in.
  TreeSearch(int descriptor, const ::btrfs_ioctl_search_key& key);

  struct Item {
    std::uint64_t object = 0;
    std::uint64_t offset = 0;
    std::uint32_t type = 0;
    std::span<const std::byte> body;  // valid until the next call
  };
  // The next in the order of keys, or nothing at the end.
  Sys<std::optional<Item>> next();

 private:
  Sys<void> ask();

  int descriptor_;
  std::unique_ptr<std::uint64_t[]> room_;  // a btrfs_ioctl_search_args_v2 with its items
  ::btrfs_ioctl_search_key key_;           // where the next question begins
  std::uint32_t left_ = 0;                 // items of the last answer that were not given
  std::size_t at_ = 0;                     // where they begin, in bytes of the answer
  bool last_ = false;                      // nothing follows the last answer
};

// struct btrfs_inode_item, as far as it is asked for here.
struct TreeInode {
  std::uint64_t number = 0;
  std::uint64_t made = 0;   // the transaction of its making
  std::uint32_t links = 0;  // 0: deleted, and open when the snapshot was made
  bool directory = false;
};

// The inodes of a subvolume whose inode item was written after the transaction `since`: what
// changes a file's content or metadata, its number of names, or the names in a directory, writes
// its inode item in the same transaction.
class ChangedInodes {
 public:
  ChangedInodes(int subvolume, std::uint64_t since);
  Sys<std::optional<TreeInode>> next();

 private:
  std::uint64_t since_;
  TreeSearch search_;
};

// struct btrfs_dir_item under BTRFS_DIR_INDEX_KEY. An `index` is given once in a directory's life.
struct TreeName {
  std::uint64_t index = 0;
  std::string name;
  std::uint64_t inode = 0;  // of a subvolume that is nested there: its root id
  bool directory = false;   // of this subvolume: a nested one is none

  bool operator==(const TreeName&) const = default;
};

// The names in a directory, in the order of their indexes; none where there is no such directory.
class DirectoryNames {
 public:
  // `tree`: the subvolume's root id (SubvolumeInfo::id), of the file system of `descriptor`.
  DirectoryNames(int descriptor, std::uint64_t tree, std::uint64_t directory);
  Sys<std::optional<TreeName>> next();

 private:
  TreeSearch search_;
};

}  // namespace lockstep::os
