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
  bool pairs;        // may be paired with another kind that may
  bool own_lock;     // the component holds its writers itself
  bool one_instant;  // a pin is one instant, at least where the file system helps
  bool one_instant_always;
  bool exclude;  // takes `exclude`
  // Its places are paths of the cluster's own file system, which all hosts see alike, and not of a
  // host's.
  bool of_cluster;
};

const Kind* find_kind(std::string_view name);
bool is_of_cluster(std::string_view name);
// Paths of different spaces have nothing to do with each other: HDFS's, HBase's, and the hosts' (an
// empty name).
std::string_view space_of(std::string_view name);
std::vector<std::string> kind_names();

}  // namespace lockstep::policy
