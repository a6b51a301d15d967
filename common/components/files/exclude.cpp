#include "common/components/files/exclude.hpp"

#include <fnmatch.h>

#include "common/components/files/store.hpp"

namespace lockstep::files {

namespace {

struct Split {
  std::string first;
  std::string_view rest;
  bool last = false;
};

Split split(std::string_view path) {
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {std::string(path), {}, true};
  return {std::string(path.substr(0, slash)), path.substr(slash + 1), false};
}

bool component_matches(const std::string& pattern, const std::string& name) {
  return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

bool path_matches(std::string_view pattern, std::string_view path) {
  const Split wanted = split(pattern);
  if (wanted.first == "**") {
    if (wanted.last) return true;
    if (path_matches(wanted.rest, path)) return true;
    const Split has = split(path);
    return !has.last && path_matches(pattern, has.rest);
  }
  const Split has = split(path);
  if (!component_matches(wanted.first, has.first)) return false;
  if (wanted.last || has.last) return wanted.last && has.last;
  return path_matches(wanted.rest, has.rest);
}

}  // namespace

Exclude::Exclude(const std::vector<std::string>& patterns) {
  for (std::string text : patterns) {
    Pattern pattern;
    if (text.size() > 1 && text.back() == '/') {
      pattern.directories_only = true;
      text.pop_back();
    }
    pattern.whole_path = text.find('/') != std::string::npos;
    if (!text.empty() && text.front() == '/') text.erase(0, 1);
    if (text.empty()) continue;
    pattern.text = std::move(text);
    patterns_.push_back(std::move(pattern));
  }
}

bool Exclude::leaves_out(std::string_view path, bool directory) const {
  if (is_store(path)) return true;
  for (const Pattern& pattern : patterns_) {
    if (pattern.directories_only && !directory) continue;
    const std::size_t slash = path.find_last_of('/');
    const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
    if (pattern.whole_path ? path_matches(pattern.text, path)
                           : component_matches(pattern.text, std::string(name))) {
      return true;
    }
  }
  return false;
}

}  // namespace lockstep::files
