// Connection: libldap, with this project's errors. Connects when it is first used, and again after
// the server was away.
//
// Thread rule: one thread.
#pragma once

#include <ldap.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/users/ldap/ldap.hpp"
#include "common/users/state.hpp"

namespace lockstep::users {

// How one attribute is modified.
struct Modification {
  int op = LDAP_MOD_REPLACE;
  std::string attribute;
  Values values;
};

struct Entry {
  std::string dn;
  std::map<std::string, Values> attributes;  // names in lower case
};

class Connection {
 public:
  explicit Connection(const LdapSettings& settings) : settings_(settings) {}

  // All entries from `dn` downwards, or `dn` alone. Where `dn` is not there: none. Errors:
  // source-read, unreachable, permission.
  Result<void> search(const std::string& dn, int scope, const std::vector<std::string>& attributes,
                      const std::function<void(Entry)>& each);

  // Sent without waiting for what was sent before: at most kWindow are under way, and the server
  // may carry them out in any order. settle() waits for all. Errors, of any that was sent:
  // target-write, unreachable, permission, no-space.
  Result<void> add(const std::string& dn, const std::vector<Modification>& attributes, bool relax);
  // `also_fine`: a result that means that it was done before.
  Result<void> modify(const std::string& dn, const std::vector<Modification>& modifications,
                      bool relax = false, int also_fine = LDAP_SUCCESS);
  Result<void> remove(const std::string& dn);
  Result<void> rename(const std::string& dn, const std::string& rdn, const std::string& parent);
  Result<void> settle();

 private:
  struct Unbind {
    void operator()(LDAP* ldap) const { ldap_unbind_ext_s(ldap, nullptr, nullptr); }
  };
  struct Sent {
    std::string what;
    int also_fine = LDAP_SUCCESS;
  };

  Result<void> open();
  Result<void> bind();
  Result<void> sent(int code, int id, Sent sent);
  Result<void> settle_one();
  Error error(int code, ErrorCode failing, const std::string& what);

  const LdapSettings& settings_;
  std::unique_ptr<LDAP, Unbind> ldap_;
  std::map<int, Sent> under_way_;
};

}  // namespace lockstep::users
