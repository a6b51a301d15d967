#include "common/transport/peer.hpp"

#include <array>
#include <cstdlib>
#include <utility>

namespace lockstep::transport {

namespace {
constexpr std::array<std::pair<Role, const char*>, 8> kRoles{{
    {Role::user, "user"},
    {Role::policy, "policy"},
    {Role::scheduler, "scheduler"},
    {Role::health_monitor, "health-monitor"},
    {Role::gateway, "gateway"},
    {Role::snapshot_agent, "snapshot-agent"},
    {Role::transfer_agent, "transfer-agent"},
    {Role::subscriber, "subscriber"},
}};
}  // namespace

const char* role_name(Role role) {
  for (const auto& [value, name] : kRoles) {
    if (value == role) return name;
  }
  std::abort();  // not one of the enumeration's values
}

std::optional<Role> role_from_name(const std::string& name) {
  for (const auto& [value, text] : kRoles) {
    if (name == text) return value;
  }
  return std::nullopt;
}

const std::set<Role>& all_roles() {
  static const std::set<Role> all = [] {
    std::set<Role> out;
    for (const auto& [role, name] : kRoles) out.insert(role);
    return out;
  }();
  return all;
}

const Party* Directory::find(const std::string& name) const {
  const auto found = parties.find(name);
  return found == parties.end() ? nullptr : &found->second;
}

const Party& Directory::me() const {
  const Party* found = find(self);
  if (found == nullptr) std::abort();  // whoever made the directory put `self` into it
  return *found;
}

}  // namespace lockstep::transport
