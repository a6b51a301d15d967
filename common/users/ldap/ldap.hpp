// A directory that is reached by LDAP (docs/users.md): OpenLDAP's slapd.
//
// A record's id is its entryUUID: what is added gets that of the primary, by the Relax Rules
// control, for which the account needs `manage` (the rootdn has it). A unit is an
// organizationalUnit. Names are DNs below the base.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/users/store.hpp"

namespace lockstep::users {

struct LdapSettings {
  std::string url;   // ldapi://, ldaps://, ldap:// (by StartTLS, but on the loopback)
  std::string base;  // DN
  std::string bind;  // DN; empty: SASL EXTERNAL, which ldapi:// knows by the user id
  std::string password_file;
  std::vector<std::string> users;  // subtrees, below the base: "ou=people"
  std::vector<std::string> groups;
  std::vector<std::string> roles;
  std::string lock_attribute = "pwdAccountLockedTime";
  std::string lock_value = "000001010000Z";  // of one that is locked
};

std::unique_ptr<Store> make_ldap(LdapSettings settings);

}  // namespace lockstep::users
