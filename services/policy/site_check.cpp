#include "services/policy/site_check.hpp"

#include <algorithm>

#include "common/config/reader.hpp"
#include "common/policy/kinds.hpp"

namespace lockstep::policy_service {

namespace {

using policy::Finding;
using transport::Role;

std::vector<std::string> agents_of(const config::Cluster& cluster, Role role) {
  std::vector<std::string> out;
  for (const auto& agent : cluster.agents) {
    if (agent.role == role) out.push_back(agent.name);
  }
  return out;
}

void check_agent(const config::Cluster& cluster, Role role, const std::string& named,
                 const std::string& where, std::vector<Finding>& findings) {
  const auto agents = agents_of(cluster, role);
  const std::string kind = transport::role_name(role);
  if (named.empty() && role == Role::snapshot_agent && agents.size() > 1) {
    findings.push_back({false, where,
                        "the cluster `" + cluster.name + "` has several " + kind +
                            "s, so the data set must name one",
                        "agent: " + agents.front()});
  } else if (!named.empty() && std::find(agents.begin(), agents.end(), named) == agents.end()) {
    const auto near = config::nearest(named, agents);
    findings.push_back(
        {false, where,
         "the cluster `" + cluster.name + "` has no " + kind + " named `" + named + "`",
         near ? "did you mean `" + *near + "`?" : ""});
  }
}

std::string host_of(const config::Agent& agent) {
  if (agent.endpoint.starts_with("ipc://")) return "this host";
  const auto start = agent.endpoint.find("//") + 2;
  return agent.endpoint.substr(start, agent.endpoint.rfind(':') - start);
}

// The transfer-agent opens what the snapshot-agent pinned by its path.
void check_hosts(const config::Cluster& cluster, const std::string& named, const std::string& where,
                 std::vector<Finding>& findings) {
  if (named.empty() && agents_of(cluster, Role::snapshot_agent).size() > 1) return;  // told before
  const config::Agent* pins = nullptr;
  const config::Agent* moves = nullptr;
  for (const auto& agent : cluster.agents) {
    if (agent.role == Role::transfer_agent) moves = &agent;
    if (agent.role == Role::snapshot_agent && (named.empty() || agent.name == named)) pins = &agent;
  }
  if (pins == nullptr || moves == nullptr || host_of(*pins) == host_of(*moves)) return;
  findings.push_back({true, where,
                      "`" + pins->name + "` pins at " + host_of(*pins) + ", `" + moves->name +
                          "` sends from " + host_of(*moves),
                      "the file system must be mounted at the same path at both hosts"});
}

std::string primary_of(const policy::Policy& policy, const config::Site& site) {
  return policy.primary.empty() ? layout_of(site).primary : policy.primary;
}

void check_agents(const policy::Policy& policy, const config::Site& site,
                  std::vector<Finding>& findings) {
  const std::string primary = primary_of(policy, site);
  for (const auto& [name, cluster] : site.clusters) {
    for (std::size_t i = 0; i < policy.data_sets.size(); ++i) {
      const auto& set = policy.data_sets[i];
      const std::string at = "data_sets[" + std::to_string(i) + "]";
      if (name == primary) {
        check_agent(cluster, Role::snapshot_agent, set.agent, at + ".agent", findings);
        if (!policy::is_of_cluster(set.component)) {
          check_hosts(cluster, set.agent, at + ".agent", findings);
        }
      } else {
        check_agent(cluster, Role::transfer_agent, set.to.agent, at + ".to.agent", findings);
      }
    }
  }
}

// An engine names both clusters' HDFS, and is run by the one whose agent starts the transfer.
void check_engines(const policy::Policy& policy, const config::Site& site,
                   std::vector<Finding>& findings) {
  const std::string primary = primary_of(policy, site);
  for (std::size_t i = 0; i < policy.data_sets.size(); ++i) {
    const auto& set = policy.data_sets[i];
    if (set.engine == policy::DataSet::Engine::stream) continue;
    if (!policy::engine_fits(set)) continue;  // told by policy::check
    const bool tables = set.component == "hbase";
    const std::string where = "data_sets[" + std::to_string(i) + "].engine";
    const auto lacks = [&set](const std::string& cluster, const std::string& key) {
      return "the cluster `" + cluster + "` has no `" + key +
             "`, which `engine: " + policy::engine_name(set.engine) + "` needs";
    };
    const std::string name_it =
        "name it in lockstep.yaml (docs/components/" + set.component + ".md)";
    const std::string or_stream = name_it + ", or leave `engine` out: the stream carries it";
    for (const auto& [name, cluster] : site.clusters) {
      if (!cluster.hdfs || (tables && !cluster.hbase)) continue;  // told with the component
      if (cluster.hdfs->filesystem.empty()) {
        findings.push_back({false, where, lacks(name, "hdfs.filesystem"), or_stream});
      }
      if (tables ? cluster.hbase->exportsnapshot : cluster.hdfs->distcp) continue;
      const bool runs_it = (name == primary) == (policy.mode == policy::Mode::push);
      findings.push_back({!runs_it, where,
                          lacks(name, tables ? "hbase.exportsnapshot" : "hdfs.distcp") +
                              (runs_it ? "" : " once the roles have changed"),
                          runs_it ? or_stream : name_it});
    }
  }
}

// User data is pinned by the agent that reaches the directory, and sent by the transfer-agent.
void check_user_data(const policy::Policy& policy, const config::Site& site,
                     std::vector<Finding>& findings) {
  if (!policy.user_data) return;
  for (const auto& [name, cluster] : site.clusters) {
    if (cluster.directory) {
      check_hosts(cluster, cluster.directory->agent, "user_data", findings);
    } else {
      findings.push_back({false, "user_data", "the cluster `" + name + "` has no `directory`",
                          "name one in lockstep.yaml (docs/users.md), or leave `user_data` out"});
    }
  }
}

}  // namespace

policy::Layout layout_of(const config::Site& site) {
  policy::Layout out;
  out.with_hdfs.emplace();
  out.with_hbase.emplace();
  out.one_host = site.clusters_share_host();
  for (const auto& [name, cluster] : site.clusters) {
    out.roots.emplace(name, cluster.root);
    if (cluster.hdfs) out.with_hdfs->insert(name);
    if (cluster.hbase) out.with_hbase->insert(name);
    if (cluster.initially_primary) out.primary = name;
  }
  return out;
}

Verdict judge(const policy::Policy& wanted, const std::vector<policy::Policy>& others,
              const config::Site& site) {
  Verdict out;
  out.findings = policy::check(wanted);
  check_agents(wanted, site, out.findings);
  check_engines(wanted, site, out.findings);
  check_user_data(wanted, site, out.findings);
  out.own = out.findings.size();

  const policy::Layout layout = layout_of(site);
  const auto before = policy::check_together(others, layout);
  auto all = others;
  all.push_back(wanted);
  for (auto& finding : policy::check_together(all, layout)) {
    const bool known = std::any_of(before.begin(), before.end(), [&](const Finding& old) {
      return old.where == finding.where && old.what == finding.what;
    });
    if (!known) out.findings.push_back(std::move(finding));
  }
  return out;
}

bool refuses(const std::vector<policy::Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return !finding.warning; });
}

}  // namespace lockstep::policy_service
