// Who is who on the wire: names, roles, keys, endpoints.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace lockstep::transport {

// What a key may do; docs/protocol.md has the table of roles and message types.
enum class Role {
  user,
  policy,
  scheduler,
  health_monitor,
  gateway,
  snapshot_agent,
  transfer_agent,
  subscriber
};
const char* role_name(Role role);  // "snapshot-agent"
std::optional<Role> role_from_name(const std::string& name);
const std::set<Role>& all_roles();

// A party of the site, from lockstep.yaml.
struct Party {
  std::string name;  // "scheduler", "north-snapshot", "user"
  Role role = Role::user;
  std::string cluster;     // of agents; else empty
  std::string endpoint;    // control ROUTER; empty for users and subscribers
  std::string bulk;        // transfer-agents: bulk ROUTER
  std::string events;      // PUB
  std::string public_key;  // Z85 CURVE key; empty on sites without keys
  bool registrar = false;
};

// All parties, and this process's own secret key.
struct Directory {
  std::map<std::string, Party> parties;
  std::string self;
  std::string secret_key;  // Z85; empty: plain text (ipc, or insecure: true)
  bool insecure = false;   // plain text on tcp was asked for

  const Party* find(const std::string& name) const;
  const Party& me() const;  // requires: `self` is one of the parties
};

}  // namespace lockstep::transport
