// Condition: what a client makes of what it finds out about its cluster. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/identity/application_client.hpp"

namespace lockstep::health {

// One look at a cluster.
struct Finding {
  struct Party {
    std::string name;
    bool answers = false;
  };
  struct Store {
    std::string name;
    bool good = false;
    std::string detail;
  };
  std::vector<Party> agents;
  bool registrar_answers = false;
  std::vector<Store> stores;
  // Of some store nothing is known yet, which is no reason to call the cluster healthy.
  bool pending = false;
};

struct Verdict {
  identity::Health health = identity::Health::unreachable;
  std::string reason;  // a sentence; empty when healthy
};

// unreachable: nobody answers. failed: a store is not well, or the registrar is silent while others
// answer. degraded: an agent is silent. healthy: the rest.
Verdict judge(const Finding& finding);

// How often the same worse, or better, verdict has to be found before it counts.
inline constexpr int kWorseAfter = 3;
inline constexpr int kBetterAfter = 2;

// Hysteresis: one look that fails is no fault, one that succeeds no recovery.
class Condition {
 public:
  // True where the health that counts has changed by it. What begins well counts at once; services
  // that start together are not called sick for it.
  bool take(const Verdict& verdict);

  const Verdict& counts() const { return counts_; }
  bool known() const { return known_; }

 private:
  Verdict counts_;
  Verdict candidate_;
  int times_ = 0;
  bool known_ = false;
};

}  // namespace lockstep::health
