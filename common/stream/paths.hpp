// Pieces of an entry's path.
#pragma once

#include <string_view>

namespace lockstep::stream {

// The path of the directory that `path` lies in; the root's own is "".
inline std::string_view parent_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

inline std::string_view last_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace lockstep::stream
