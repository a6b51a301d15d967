// User data in lockstep.yaml: `user_data` of the site, `directory` of a cluster (docs/users.md).
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/config/reader.hpp"

namespace lockstep::config {

// How user data goes from the primary's directory to the secondary's.
struct UserData {
  bool push = true;  // else reconcile
  std::size_t removals = 50;
  std::size_t percent = 20;
  std::optional<std::set<std::string>> attributes;  // nothing: all
};

// How a directory is reached by LDAP.
struct Ldap {
  std::string url;                 // ldapi://, ldaps://, ldap://
  std::string base;                // DN
  std::string bind;                // DN; empty: as the agent's user, by ldapi://
  std::string password_file;       // absolute
  std::vector<std::string> users;  // subtrees, below the base
  std::vector<std::string> groups;
  std::vector<std::string> roles;
  std::string lock_attribute = "pwdAccountLockedTime";
  std::string lock_value = "000001010000Z";
};

// A cluster's directory.
struct UserStore {
  std::string store = "embedded";
  std::string agent;          // the snapshot-agent that reaches it
  std::set<std::string> own;  // attributes that are this cluster's, whatever the primary has
  std::string path;           // embedded: absolute, of the database
  std::optional<Ldap> ldap;
};

UserData read_user_data(const Value& value);
// `absolute`: a path of the file, as it stands against its directory.
UserStore read_user_store(const Value& value,
                          const std::function<std::string(const std::optional<Value>&)>& absolute);

}  // namespace lockstep::config
