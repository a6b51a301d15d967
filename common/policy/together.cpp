// Policies of one site against each other, and against what Lockstep itself keeps.
#include <string_view>
#include <tuple>

#include "common/policy/kinds.hpp"
#include "common/policy/paths.hpp"
#include "common/policy/policy.hpp"

namespace lockstep::policy {

namespace {

// One side of one pair of one policy.
struct Claim {
  std::string service;
  std::string where;    // "orders.data_sets[0].path"
  std::string cluster;  // empty: whichever holds the identity
  std::string agent;
  std::string path;
  const std::vector<std::string>* exclude = nullptr;  // sources only
  bool target = false;
  std::string_view space;  // of paths; empty: the hosts'

  std::string text() const {
    return "`" + path + "` (" + (target ? "the backup of " : "") + service + ")";
  }
};

// Whether two claims may mean one place: a cluster or an agent that is left out may be any.
bool may_meet(const Claim& a, const Claim& b, bool one_host) {
  if (a.space != b.space) return false;
  if (!a.space.empty()) return a.cluster.empty() || b.cluster.empty() || a.cluster == b.cluster;
  if (one_host) return true;
  if (a.target != b.target) return !a.cluster.empty() && a.cluster == b.cluster;
  if (!a.cluster.empty() && !b.cluster.empty() && a.cluster != b.cluster) return false;
  return a.agent.empty() || b.agent.empty() || a.agent == b.agent;
}

std::vector<Claim> claims_of(const Policy& policy, const Layout& layout) {
  const std::string primary = policy.primary.empty() ? layout.primary : policy.primary;
  std::string own_root, other, other_root;
  for (const auto& [name, root] : layout.roots) {
    if (name == primary) {
      own_root = root;
    } else {
      other = name;
      other_root = root;
    }
  }
  std::vector<Claim> out;
  for (std::size_t i = 0; i < policy.data_sets.size(); ++i) {
    const auto& set = policy.data_sets[i];
    const std::string at = policy.service + ".data_sets[" + std::to_string(i) + "]";
    out.push_back({policy.service, at + ".path", primary, set.agent, set.place.location,
                   &set.exclude, false, space_of(set.component)});
    out.push_back({policy.service, at + ".to.path", other, set.to.agent,
                   target_location(set, own_root, other_root), nullptr, true,
                   space_of(set.to.component)});
  }
  return out;
}

// `outer` holds `inner` and does not leave it out.
bool holds(const Claim& outer, const Claim& inner) {
  if (!lies_inside(inner.path, outer.path)) return false;
  return outer.exclude == nullptr || !leaves_out(*outer.exclude, inner.path, outer.path);
}

// Of a backup and a source the backup is to move; of two alike the later one.
void compare(const Claim& a, const Claim& b, std::vector<Finding>& findings) {
  const bool same_side = a.target == b.target;
  // Sources of one policy among themselves: check() has told of them.
  if (same_side && !a.target && a.service == b.service) return;
  const Claim& moves = a.target && !b.target ? a : b;
  const Claim& stays = &moves == &a ? b : a;
  std::string relation;
  if (moves.path == stays.path) {
    relation = "is also";
  } else if (holds(stays, moves)) {
    relation = "lies inside";
  } else if (holds(moves, stays)) {
    relation = "holds";
  } else {
    return;
  }
  std::string hint;
  if (!same_side) {
    hint =
        "a backup never lies where what is backed up lies; name another place with `to: {path: "
        "...}`";
  } else if (moves.target) {
    hint = "give one of the two its own `to: {path: ...}`";
  } else {
    hint =
        "one data set belongs to one service; make them one policy, or leave the inner one out "
        "with `exclude`";
  }
  findings.push_back(
      {false, moves.where, moves.text() + " " + relation + " " + stays.text(), std::move(hint)});
}

void against_store(const Claim& claim, const Layout& layout, std::vector<Finding>& findings) {
  for (const auto& [cluster, root] : layout.roots) {
    if (!claim.space.empty() || root.empty() || (!layout.one_host && cluster != claim.cluster))
      continue;
    const std::string store = root + "/.lockstep";
    const bool inside = claim.path == store || lies_inside(claim.path, store);
    const bool around = !claim.target && (claim.path == root || lies_inside(root, claim.path));
    if (inside) {
      findings.push_back({false, claim.where,
                          claim.text() + " lies in Lockstep's own store " + store,
                          "choose another place"});
    } else if (around) {
      findings.push_back({false, claim.where,
                          claim.text() + " holds the root of `" + cluster + "` (" + root +
                              "), where Lockstep keeps its versions",
                          "back up what lies below it, each as a data set"});
    }
  }
}

void need_store(const Policy& policy, const Layout& layout, std::vector<Finding>& findings) {
  const std::string& primary = policy.primary.empty() ? layout.primary : policy.primary;
  for (std::size_t i = 0; i < policy.data_sets.size(); ++i) {
    const auto& set = policy.data_sets[i];
    for (const auto& [kind, with, hint] :
         {std::tuple{"hdfs", &layout.with_hdfs,
                     "say there how its NameNode is reached (docs/components/hdfs.md)"},
          std::tuple{"hbase", &layout.with_hbase,
                     "say there where its configuration and classes lie "
                     "(docs/components/hbase.md)"}}) {
      for (const auto& [cluster, root] : layout.roots) {
        const bool home = cluster == primary;
        if ((home ? set.component : set.to.component) != kind) continue;
        if (!*with || (*with)->contains(cluster)) continue;
        findings.push_back({false,
                            policy.service + ".data_sets[" + std::to_string(i) + "]." +
                                (home ? "component" : "to.component"),
                            "the cluster `" + cluster + "` has no `" + kind + ":` in lockstep.yaml",
                            hint});
      }
    }
  }
}

}  // namespace

std::vector<Finding> check_together(const std::vector<Policy>& all, const Layout& layout) {
  std::vector<Finding> findings;
  std::vector<Claim> claims;
  for (const auto& policy : all) {
    if (!policy.primary.empty() && !layout.roots.contains(policy.primary)) {
      findings.push_back(
          {false, policy.service + ".primary", "no cluster is named `" + policy.primary + "`", {}});
      continue;
    }
    need_store(policy, layout, findings);
    for (auto& claim : claims_of(policy, layout)) claims.push_back(std::move(claim));
  }
  for (std::size_t i = 0; i < claims.size(); ++i) {
    against_store(claims[i], layout, findings);
    for (std::size_t j = 0; j < i; ++j) {
      if (may_meet(claims[i], claims[j], layout.one_host)) {
        compare(claims[j], claims[i], findings);
      }
    }
  }
  return findings;
}

std::string target_location(const DataSet& set, const std::string& own_root,
                            const std::string& other_root) {
  if (!set.to.place.location.empty()) return set.to.place.location;
  const auto& path = set.place.location;
  if (is_of_cluster(set.to.component)) return path;
  if (!own_root.empty() && lies_inside(path, own_root)) {
    return other_root + path.substr(own_root.size());
  }
  return other_root + path;
}

}  // namespace lockstep::policy
