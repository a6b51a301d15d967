#include "plan.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace lockstep::run {

std::vector<std::string> agents_of(const Plan& plan) {
  std::vector<std::string> agents;
  for (const Member& member : plan.members) {
    if (std::find(agents.begin(), agents.end(), member.agent) == agents.end())
      agents.push_back(member.agent);
  }
  return agents;
}

std::vector<std::vector<std::string>> pin_stages(const Plan& plan) {
  std::vector<std::vector<std::string>> stages;
  if (plan.consistency != Consistency::ordered) {
    stages.emplace_back();
    for (const Member& member : plan.members) stages.back().push_back(member.name);
    return stages;
  }
  std::set<std::string> left;
  for (const Member& member : plan.members) left.insert(member.name);
  while (!left.empty()) {
    std::set<std::string> referred;  // to which a member that is left refers
    for (const Member& member : plan.members) {
      if (!left.contains(member.name)) continue;
      for (const std::string& name : member.refers_to)
        if (name != member.name) referred.insert(name);
    }
    std::vector<std::string> stage;
    for (const Member& member : plan.members)
      if (left.contains(member.name) && !referred.contains(member.name))
        stage.push_back(member.name);
    if (stage.empty()) stage.assign(left.begin(), left.end());
    for (const std::string& name : stage) left.erase(name);
    stages.push_back(std::move(stage));
  }
  return stages;
}

}  // namespace lockstep::run
