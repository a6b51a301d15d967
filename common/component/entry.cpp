#include "common/component/entry.hpp"

namespace lockstep::component {

bool same_metadata(const Entry& a, const Entry& b) {
  return a.kind == b.kind && a.mode == b.mode && a.uid == b.uid && a.gid == b.gid &&
         a.mtime_ns == b.mtime_ns && a.size == b.size && a.device == b.device &&
         a.link_target == b.link_target && a.xattrs == b.xattrs && a.holes == b.holes;
}

bool path_less(std::string_view a, std::string_view b) {
  // '/' ends a component, so it sorts before every byte that a name may hold (all but NUL and '/').
  const std::size_t shared = a.size() < b.size() ? a.size() : b.size();
  for (std::size_t i = 0; i < shared; ++i) {
    if (a[i] == b[i]) continue;
    if (a[i] == '/') return true;
    if (b[i] == '/') return false;
    return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[i]);
  }
  return a.size() < b.size();
}

bool path_inside(std::string_view path, std::string_view directory) {
  if (directory.empty()) return !path.empty();
  return path.size() > directory.size() && path.starts_with(directory) &&
         path[directory.size()] == '/';
}

bool path_is_clean(std::string_view path) {
  if (path.empty()) return true;  // the root
  std::size_t start = 0;
  while (start <= path.size()) {
    std::size_t end = path.find('/', start);
    if (end == std::string_view::npos) end = path.size();
    const std::string_view name = path.substr(start, end - start);
    if (name.empty() || name == "." || name == "..") return false;
    if (name.find('\0') != std::string_view::npos || name.size() > 255) return false;
    start = end + 1;
  }
  return path.size() <= 4096;
}

}  // namespace lockstep::component
