#include "services/scheduler/origin.hpp"

#include <algorithm>

#include "common/component/user_capture.hpp"
#include "common/message/bytes.hpp"

namespace lockstep::scheduler {
namespace {

using message::Body;
using message::text_or_bytes;

const char* fence_kind(policy::Fence::Kind kind) {
  switch (kind) {
    case policy::Fence::Kind::none:
      return "none";
    case policy::Fence::Kind::own_lock:
      return "own_lock";
    case policy::Fence::Kind::hook:
      return "hook";
    case policy::Fence::Kind::cgroup:
      return "cgroup";
  }
  return "none";
}

Body side(const std::string& cluster, const std::string& component, const std::string& location,
          const std::map<std::string, std::string>& options) {
  Body body = {{"cluster", cluster},
               {"component", component},
               {"location", text_or_bytes(location)},
               {"options", Body::object()}};
  for (const auto& [key, value] : options) body["options"][key] = text_or_bytes(value);
  return body;
}

// `named`: by the policy, which knows its home's agents only.
Result<std::string> agent_for(const policy::DataSet& set, const std::string& named,
                              const config::Cluster& cluster) {
  if (!named.empty()) return named;
  const config::Agent* only = nullptr;
  for (const config::Agent& agent : cluster.agents) {
    if (agent.role != transport::Role::snapshot_agent) continue;
    if (only != nullptr) {
      return make_error(ErrorCode::policy_invalid,
                        "the cluster has several snapshot-agents and the data set names none",
                        set.name, "add `agent:` to the data set");
    }
    only = &agent;
  }
  if (only == nullptr) {
    return make_error(ErrorCode::policy_invalid, "the cluster has no snapshot-agent", cluster.name,
                      "add one in lockstep.yaml");
  }
  return only->name;
}

struct Pair {
  Body home;   // as the policy has it
  Body other;  // where it is kept, as long as the home is the primary
};

Pair pair_of(const policy::DataSet& set, const config::Cluster& home,
             const config::Cluster& other) {
  return {side(home.name, set.component, set.place.location, set.place.options),
          side(other.name, set.to.component.empty() ? set.component : set.to.component,
               policy::target_location(set, home.root, other.root), set.to.place.options)};
}

Body set_body(const policy::DataSet& set, const std::string& agent, Body from, Body to) {
  Body refers_to = Body::array();
  for (const std::string& name : set.refers_to) refers_to.push_back(name);
  Body exclude = Body::array();
  for (const std::string& pattern : set.exclude) exclude.push_back(text_or_bytes(pattern));
  return {{"name", set.name},
          {"agent", agent},
          {"from", std::move(from)},
          {"to", std::move(to)},
          {"fence",
           {{"kind", fence_kind(set.fence.kind)},
            {"hook", text_or_bytes(set.fence.hook)},
            {"cgroup", text_or_bytes(set.fence.cgroup)},
            {"timeout_ns", set.fence.timeout.count}}},
          {"refers_to", std::move(refers_to)},
          {"exclude", std::move(exclude)},
          {"allow_writer_stall", set.allow_writer_stall}};
}

// User data goes with the service's sets, from one cluster's own store to the other's.
Result<Body> user_data_body(const config::Cluster& primary, const config::Cluster& secondary) {
  for (const config::Cluster* cluster : {&primary, &secondary}) {
    if (cluster->directory) continue;
    return make_error(ErrorCode::policy_invalid,
                      "the policy asks for user data, and the cluster has no `directory`",
                      cluster->name, "docs/users.md says how it is named in lockstep.yaml");
  }
  const auto store = [](const config::Cluster& cluster) {
    return side(cluster.name, component::kUserData, cluster.root + "/.lockstep", {});
  };
  policy::DataSet set;
  set.name = component::kUserDataSet;
  return set_body(set, primary.directory->agent, store(primary), store(secondary));
}

}  // namespace

Result<Origin> resolve(const policy::Policy& policy, std::uint64_t version,
                       const config::Site& site, const identity::Decision& decision) {
  Origin origin;
  origin.policy = policy;
  origin.version = version;
  origin.epoch = {decision.number, decision.promotion};
  origin.sets = Body::array();
  const config::Cluster* home = nullptr;
  const config::Cluster* other = nullptr;
  for (const auto& [name, cluster] : site.clusters) {
    if (policy.primary.empty() ? cluster.initially_primary : name == policy.primary)
      home = &cluster;
  }
  if (home == nullptr) {
    return make_error(ErrorCode::policy_invalid, "no cluster of the site is the policy's primary",
                      policy.primary.empty() ? policy.service : policy.primary);
  }
  for (const auto& [name, cluster] : site.clusters)
    if (name != home->name && other == nullptr) other = &cluster;
  if (other == nullptr) {
    return make_error(ErrorCode::policy_invalid, "the site has no other cluster to back up to",
                      home->name);
  }
  const bool turned = decision.number > 1 && decision.primary != home->name;
  origin.primary = turned ? other->name : home->name;
  origin.secondary = turned ? home->name : other->name;
  for (const policy::DataSet& set : policy.data_sets) {
    auto [at_home, at_other] = pair_of(set, *home, *other);
    LOCKSTEP_TRY(const std::string agent,
                 agent_for(set, turned ? std::string{} : set.agent, turned ? *other : *home));
    if (turned) std::swap(at_home, at_other);
    origin.sets.push_back(set_body(set, agent, std::move(at_home), std::move(at_other)));
  }
  if (policy.user_data) {
    LOCKSTEP_TRY(Body set, user_data_body(site.clusters.at(origin.primary),
                                          site.clusters.at(origin.secondary)));
    origin.sets.push_back(std::move(set));
  }
  return origin;
}

Result<run::Plan> plan_for(const Origin& origin, const config::Site& site) {
  const policy::Policy& policy = origin.policy;
  const config::Agent* sender = site.registrar(origin.primary);
  const config::Agent* receiver = site.registrar(origin.secondary);
  if (sender == nullptr || receiver == nullptr) {
    return make_error(ErrorCode::policy_invalid, "the cluster has no registrar",
                      sender == nullptr ? origin.primary : origin.secondary);
  }
  run::Plan plan;
  plan.service = policy.service;
  plan.attempts = std::max(1, policy.attempts);
  plan.catch_up = policy.schedule.missed == policy::Schedule::Missed::run;
  plan.mode = policy.mode == policy::Mode::push ? run::Mode::push : run::Mode::pull;
  switch (policy.consistency) {
    case policy::Consistency::fenced:
      plan.consistency = run::Consistency::fenced;
      break;
    case policy::Consistency::ordered:
      plan.consistency = run::Consistency::ordered;
      break;
    case policy::Consistency::bounded:
      plan.consistency = run::Consistency::bounded;
      break;
  }
  for (std::size_t i = 0; i < policy.data_sets.size(); ++i) {
    const policy::DataSet& set = policy.data_sets[i];
    plan.members.push_back({set.name, origin.sets.at(i).at("agent").get<std::string>(),
                            set.fence.kind != policy::Fence::Kind::none, set.fence.timeout.count,
                            set.refers_to});
    // A hook is a program that has to start and to speak to the application.
    if (set.fence.kind == policy::Fence::Kind::hook)
      plan.raise_lead = std::max(plan.raise_lead, 150 * run::kMillisecond);
  }
  for (std::size_t i = policy.data_sets.size(); i < origin.sets.size(); ++i) {
    run::Member user_data;
    user_data.name = origin.sets.at(i).at("name").get<std::string>();
    user_data.agent = origin.sets.at(i).at("agent").get<std::string>();
    user_data.beside = true;
    plan.members.push_back(std::move(user_data));
  }
  plan.sender = sender->name;
  plan.receiver = receiver->name;
  plan.registrar = receiver->name;
  plan.before_hook = policy.before.has_value();
  plan.after_hook = policy.after.has_value();
  plan.hook_timeout = 0;
  if (policy.before) plan.hook_timeout = policy.before->timeout.count;
  if (policy.after) plan.hook_timeout = std::max(plan.hook_timeout, policy.after->timeout.count);
  plan.clock_sources = site.clock.sources;
  plan.max_clock_error = site.clock.max_error.count;
  plan.max_skew = policy.max_skew.count;
  plan.max_lateness = policy.max_lateness.count;
  plan.deadline = policy.deadline.count;
  plan.stall = policy.stall.count;
  return plan;
}

Body origin_to_body(const Origin& origin) {
  return {{"policy", policy::to_body(origin.policy)},
          {"version", origin.version},
          {"primary", origin.primary},
          {"secondary", origin.secondary},
          {"epoch", {{"number", origin.epoch.number}, {"promotion", origin.epoch.promotion}}},
          {"sets", origin.sets}};
}

Result<Origin> origin_from_body(const Body& body) {
  LOCKSTEP_TRY(policy::Policy policy, policy::from_body(body.at("policy")));
  Origin origin;
  origin.policy = std::move(policy);
  body.at("version").get_to(origin.version);
  body.at("primary").get_to(origin.primary);
  body.at("secondary").get_to(origin.secondary);
  origin.sets = body.at("sets");
  if (body.contains("epoch")) {
    origin.epoch = {body.at("epoch").at("number").get<std::uint64_t>(),
                    body.at("epoch").at("promotion").get<std::string>()};
  }
  return origin;
}

}  // namespace lockstep::scheduler
