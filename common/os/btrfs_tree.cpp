#include "common/os/btrfs_tree.hpp"

#include <endian.h>
#include <linux/btrfs_tree.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <limits>

namespace lockstep::os {

namespace {

// An item is never larger than a tree block, which is at most 64 KiB. No more room than that asks
// for: a directory with few names, of which there may be many, pays for it.
constexpr std::size_t kRoom = 80 * 1024;
constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t kHighestType = 255;

::btrfs_ioctl_search_key key_of_changed(std::uint64_t since) {
  ::btrfs_ioctl_search_key key{};  // tree 0: the subvolume's own
  key.min_objectid = kSubvolumeRootInode;
  key.max_objectid = BTRFS_LAST_FREE_OBJECTID;
  key.min_type = BTRFS_INODE_ITEM_KEY;
  key.max_type = BTRFS_INODE_ITEM_KEY;
  key.min_transid = since + 1;
  return key;
}

::btrfs_ioctl_search_key key_of_names(std::uint64_t tree, std::uint64_t directory) {
  ::btrfs_ioctl_search_key key{};
  key.tree_id = tree;
  key.min_objectid = directory;
  key.max_objectid = directory;
  key.min_type = BTRFS_DIR_INDEX_KEY;
  key.max_type = BTRFS_DIR_INDEX_KEY;
  return key;
}

template <class T>
std::optional<T> first_of(std::span<const std::byte> bytes) {
  T value{};
  if (bytes.size() < sizeof value) return std::nullopt;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// The least key that is greater.
void step_over(::btrfs_ioctl_search_key& key, const ::btrfs_ioctl_search_header& last) {
  key.min_objectid = last.objectid;
  key.min_type = last.type;
  key.min_offset = last.offset + 1;
  if (key.min_offset != 0) return;
  if (++key.min_type <= kHighestType) return;
  key.min_type = 0;
  ++key.min_objectid;  // less than kAll: the searches end at BTRFS_LAST_FREE_OBJECTID
}

}  // namespace

TreeSearch::TreeSearch(int descriptor, const ::btrfs_ioctl_search_key& key)
    : descriptor_(descriptor),
      room_(std::make_unique_for_overwrite<std::uint64_t[]>(kRoom / sizeof(std::uint64_t))),
      key_(key) {
  key_.max_offset = kAll;
  key_.max_transid = kAll;
}

Sys<std::optional<TreeSearch::Item>> TreeSearch::next() {
  if (left_ == 0) {
    if (last_) return std::optional<Item>{};
    if (auto asked = ask(); !asked) return asked.error();
    if (left_ == 0) return std::optional<Item>{};
  }
  const auto answer = std::as_bytes(std::span(room_.get(), kRoom / sizeof(std::uint64_t)))
                          .subspan(sizeof(::btrfs_ioctl_search_args_v2));
  const auto header = first_of<::btrfs_ioctl_search_header>(answer.subspan(at_));
  if (!header || answer.size() - at_ - sizeof *header < header->len) return Errno{EIO};
  const Item item{header->objectid, header->offset, header->type,
                  answer.subspan(at_ + sizeof *header, header->len)};
  at_ += sizeof *header + header->len;
  if (--left_ == 0) step_over(key_, *header);
  return std::optional<Item>(item);
}

Sys<void> TreeSearch::ask() {
  ::btrfs_ioctl_search_args_v2 request{};
  request.key = key_;
  request.key.nr_items = std::numeric_limits<std::uint32_t>::max();
  request.buf_size = kRoom - sizeof request;
  std::memcpy(room_.get(), &request, sizeof request);
  if (::ioctl(descriptor_, BTRFS_IOC_TREE_SEARCH_V2, room_.get()) != 0) return Errno{errno};
  std::memcpy(&request, room_.get(), sizeof request);
  left_ = request.key.nr_items;
  at_ = 0;
  last_ = left_ == 0;
  return {};
}

ChangedInodes::ChangedInodes(int subvolume, std::uint64_t since)
    : since_(since), search_(subvolume, key_of_changed(since)) {}

Sys<std::optional<TreeInode>> ChangedInodes::next() {
  while (true) {
    // Changed tree blocks hold items of other types, and inodes that did not change.
    auto item = search_.next();
    if (!item) return item.error();
    if (!*item) return std::optional<TreeInode>{};
    if ((*item)->type != BTRFS_INODE_ITEM_KEY) continue;
    const auto inode = first_of<::btrfs_inode_item>((*item)->body);
    if (!inode) return Errno{EIO};
    if (::le64toh(inode->transid) <= since_) continue;
    return std::optional<TreeInode>(TreeInode{(*item)->object, ::le64toh(inode->generation),
                                              ::le32toh(inode->nlink),
                                              S_ISDIR(::le32toh(inode->mode))});
  }
}

DirectoryNames::DirectoryNames(int descriptor, std::uint64_t tree, std::uint64_t directory)
    : search_(descriptor, key_of_names(tree, directory)) {}

Sys<std::optional<TreeName>> DirectoryNames::next() {
  auto item = search_.next();
  if (!item) return item.error();
  if (!*item) return std::optional<TreeName>{};
  const auto body = (*item)->body;
  const auto entry = first_of<::btrfs_dir_item>(body);
  if (!entry) return Errno{EIO};
  const std::size_t length = ::le16toh(entry->name_len);
  if (body.size() - sizeof *entry < length) return Errno{EIO};
  const char* name = reinterpret_cast<const char*>(body.data() + sizeof *entry);
  const bool own = entry->location.type == BTRFS_INODE_ITEM_KEY;
  return std::optional<TreeName>(TreeName{(*item)->offset, std::string(name, length),
                                          ::le64toh(entry->location.objectid),
                                          own && entry->type == BTRFS_FT_DIR});
}

}  // namespace lockstep::os
