// Entry: one thing in a data set's tree, with all metadata that Lockstep carries.
//
// Order: a manifest lists entries depth first, the names of each directory sorted bytewise, a
// directory before what it holds; paths therefore compare component by component (path_less).
// The root entry has the empty path. A database is one entry: the root, a regular file.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock/moment.hpp"

namespace lockstep::component {

enum class EntryKind : std::uint8_t {
  directory = 1,
  regular = 2,
  symlink = 3,
  hard_link = 4,  // a further name of a regular file; `link_target` is the first name in order
  fifo = 5,
  socket = 6,
  char_device = 7,
  block_device = 8,
};

struct Xattr {
  std::string
      name;  // with its namespace: "user.x", "system.posix_acl_access", "security.capability"
  std::string value;  // bytes
  auto operator<=>(const Xattr&) const = default;
};

// A run of bytes in a file.
struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  auto operator<=>(const Extent&) const = default;
};

using Digest128 = std::array<std::uint8_t, 16>;  // XXH3-128, canonical (big-endian) form
using Digest256 = std::array<std::uint8_t, 32>;  // SHA-256

// Metadata that is carried, and therefore digested. Of a hard_link only kind, path and link_target
// mean something: the rest is its first name's.
struct Entry {
  std::string path;  // relative to the root, '/' between components, any bytes but NUL
  EntryKind kind = EntryKind::regular;
  std::uint32_t mode = 0;  // permission bits with set-id and sticky: mode & 07777
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int64_t mtime_ns = 0;  // since 1970, may be negative
  std::uint64_t size = 0;     // regular files: bytes; otherwise 0
  std::uint64_t device = 0;   // devices: makedev(3)
  std::string link_target;    // symlink: its text; hard_link: path of the first name
  std::vector<Xattr> xattrs;  // sorted by name
  std::vector<Extent> holes;  // regular files: sorted, disjoint, as the source reports them
  // Regular files whose bytes no agent has read, because an engine of the store's own carried them
  // (carries.hpp): the store's checksum of the content, as Source::kept_sum() gives it, which the
  // content digest is made of. Otherwise empty. A source's cursor does not give it.
  std::string sum;

  // How the source recognises that an entry did not change since an earlier version. Never
  // digested, never sent; meaningful only to the component that wrote it.
  struct Native {
    std::uint64_t inode = 0;
    std::int64_t ctime_ns = 0;
    std::uint64_t generation = 0;
    auto operator<=>(const Native&) const = default;
  } native;
};

// True where the two have the same carried metadata (native, content and path apart).
bool same_metadata(const Entry& a, const Entry& b);

// Manifest order: component by component, each bytewise. "a/b" < "a-b", for "a" < "a-b".
bool path_less(std::string_view a, std::string_view b);
// True where `path` lies inside `directory` (not where they are equal); everything lies in "".
bool path_inside(std::string_view path, std::string_view directory);
// A path that may be applied below a root: no empty, "." or ".." component, no NUL, no leading '/'.
bool path_is_clean(std::string_view path);

}  // namespace lockstep::component
