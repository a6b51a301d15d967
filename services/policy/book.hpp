// Book: the policies of a site, every version that ever applied, and who did what to them.
//
// Lies in the service's journal. Every change is one transaction with its event and its line in the
// audit table; a change that is asked for again changes nothing.
//
// Thread rule: any thread; the journal serialises.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/journal/journal.hpp"
#include "common/policy/policy.hpp"

namespace lockstep::policy_service {

journal::Migrations migrations();

// A policy in force.
struct Entry {
  std::string service;
  int version = 0;
  bool paused = false;
  UtcNanos applied_at;
  std::string yaml;
  message::Body body;  // schemas/policy.json
};

// Who asked: the party's name and, where the site has keys, its public key.
struct Actor {
  std::string name;
  std::string key;
};

class Book {
 public:
  Book(journal::Journal& journal, const Clock& clock) : journal_(journal), clock_(clock) {}

  // By service.
  Result<std::vector<Entry>> all() const;
  // Error: policy-unknown.
  Result<Entry> find(const std::string& service) const;

  struct Applied {
    int version = 0;
    bool changed = false;
  };
  // The text of the version in force again: nothing changes. Else a new version, which is not
  // paused where the service is new; one that was removed counts on from its last version.
  Result<Applied> apply(const policy::Policy& policy, const std::string& yaml,
                        const std::string& file, const Actor& actor);
  // A policy that this book had lost comes back under the version that it had. Of a service that
  // has a policy nothing changes.
  Result<Applied> recover(const policy::Policy& policy, int version, const std::string& yaml,
                          const std::string& file, const Actor& actor);
  // The version stays in the book. Error: policy-unknown.
  Result<void> remove(const std::string& service, const Actor& actor);
  // Error: policy-unknown.
  Result<void> set_paused(const std::string& service, bool paused, const Actor& actor);

 private:
  Result<Applied> put(const policy::Policy& policy, int least_version, const std::string& yaml,
                      const std::string& file, const Actor& actor);

  journal::Journal& journal_;
  const Clock& clock_;
};

}  // namespace lockstep::policy_service
