// Exclude: which entries of a tree a policy leaves out (`exclude:`).
//
// A pattern without '/' matches the name of an entry at any depth; one with a '/' (at its start or
// inside) matches the whole path from the set's root. '*' and '?' do not match '/', "**" matches
// any number of directories, [...] is a class as in fnmatch(3). A '/' at the end: directories only.
// What lies in a directory that is left out is left out too (the walk does not go in).
//
// Thread rule: any thread, once made.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep::files {

class Exclude {
 public:
  Exclude() = default;
  explicit Exclude(const std::vector<std::string>& patterns);

  // `path` is relative to the root, without a '/' at either end. True for the store (store.hpp)
  // too.
  bool leaves_out(std::string_view path, bool directory) const;

 private:
  struct Pattern {
    std::string text;
    bool whole_path = false;
    bool directories_only = false;
  };
  std::vector<Pattern> patterns_;
};

}  // namespace lockstep::files
