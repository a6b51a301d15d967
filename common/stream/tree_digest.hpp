// TreeDigest: the digests of directories and of the root, made while entries pass by in order. Only
// the directories that are open are in memory.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/stream/digest.hpp"
#include "common/stream/paths.hpp"

namespace lockstep::stream {

class TreeDigest {
 public:
  struct Left {
    Entry directory;
    Digest256 digest{};
    std::uint64_t children = 0;
  };

  // True where `path` may come next: the root first, then what lies directly in the innermost
  // directory.
  bool fits(std::string_view path) const {
    if (!any_) return path.empty();
    return !path.empty() && !open_.empty() && parent_path(path) == open_.back().directory.path;
  }
  // True where `path` does not lie in the innermost directory, which must be left first.
  bool must_leave(std::string_view path) const {
    return !open_.empty() && !component::path_inside(path, open_.back().directory.path);
  }

  // Each requires fits(path).
  void enter(const Entry& directory) {
    any_ = true;
    open_.push_back({directory, DirectoryDigest(directory)});
  }
  void add(std::string_view path, const Digest256& digest) {
    any_ = true;
    if (open_.empty())
      root_ = digest;
    else
      open_.back().digest.add(last_name(path), digest);
  }

  // Requires depth() > 0.
  Left leave() {
    Left left;
    left.children = open_.back().digest.children();
    left.digest = open_.back().digest.finish();
    left.directory = std::move(open_.back().directory);
    open_.pop_back();
    add(left.directory.path, left.digest);
    return left;
  }

  bool any() const { return any_; }
  std::size_t depth() const { return open_.size(); }
  const Entry& innermost() const { return open_.back().directory; }
  const Entry& open_directory(std::size_t depth) const { return open_[depth].directory; }
  // Once everything was left.
  const Digest256& root() const { return root_; }

 private:
  struct Open {
    Entry directory;
    DirectoryDigest digest;
  };
  std::vector<Open> open_;
  Digest256 root_{};
  bool any_ = false;
};

}  // namespace lockstep::stream
