#include "common/policy/paths.hpp"

#include <fnmatch.h>

namespace lockstep::policy {

bool lies_inside(std::string_view inner, std::string_view outer) {
  if (outer == "/") return inner.size() > 1;
  return inner.size() > outer.size() && inner.starts_with(outer) && inner[outer.size()] == '/';
}

bool overlaps(std::string_view a, std::string_view b) {
  return a == b || lies_inside(a, b) || lies_inside(b, a);
}

bool leaves_out(const std::vector<std::string>& patterns, std::string_view inner,
                std::string_view outer) {
  const std::string relative{inner.substr(outer.size() + 1)};
  // The set itself and every directory on the way to it: what lies in one left out is left out.
  std::vector<std::string> ways;
  for (std::size_t end = relative.find('/'); end != std::string::npos;
       end = relative.find('/', end + 1)) {
    ways.push_back(relative.substr(0, end));
  }
  ways.push_back(relative);
  for (std::string pattern : patterns) {
    if (pattern.find("**") != std::string::npos) continue;
    const bool directories_only = pattern.ends_with('/');
    if (directories_only) pattern.pop_back();
    const bool whole = pattern.find('/') != std::string::npos;
    if (pattern.starts_with('/')) pattern.erase(0, 1);
    for (const auto& way : ways) {
      if (directories_only && &way == &ways.back()) continue;  // it may be a file
      const std::string name = whole ? way : way.substr(way.rfind('/') + 1);
      if (::fnmatch(pattern.c_str(), name.c_str(), FNM_PATHNAME) == 0) return true;
    }
  }
  return false;
}

bool on_other_hosts(const DataSet& a, const DataSet& b) {
  return !a.agent.empty() && !b.agent.empty() && a.agent != b.agent;
}

}  // namespace lockstep::policy
