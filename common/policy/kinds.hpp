// Kinds: what a policy may know of a component without reaching it. Agents hold the truth (they
// refuse at arm what this table allows too much); this lets `policy check` say it early.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep::policy {

struct Kind {
  std::string_view name;
  bool built;        // this version has the component
  bool tree_shaped;  // may be paired with another tree-shaped kind
  bool own_lock;     // the component holds its writers itself
  bool one_instant;  // a pin is one instant, at least where the file system helps
  bool one_instant_always;
  bool exclude;  // takes `exclude`
};

const Kind* find_kind(std::string_view name);
std::vector<std::string> kind_names();

}  // namespace lockstep::policy
