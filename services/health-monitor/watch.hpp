// Watch: the two clients, each bound to one cluster, and the application's client that follows from
// what they see.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/policy/policy.hpp"
#include "common/service/identity_site.hpp"
#include "services/health-monitor/condition.hpp"

namespace lockstep::health {

class Watch {
 public:
  Watch(service::Surroundings& here, service::IdentitySite& site);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  Result<void> start();
  void look_soon();  // a promotion has changed something
  // Asks the policy service now; a policy that was applied a moment ago is in force.
  void refresh_policies(std::function<void(Result<void>)> then);

  // The body of client.show.done.
  message::Body body() const;
  // The cluster that applications are to use; empty: none, or not known yet.
  const std::string& application() const { return application_; }
  const std::map<std::string, policy::Policy>& policies() const { return policies_; }

  // Called when the primary has failed or cannot be reached: a user is to decide.
  std::function<void(const std::string& cluster)> on_fault;
  // Called when the application's client changed.
  std::vector<std::function<void()>> on_application;

 private:
  // A client, and the look that is under way.
  struct Client {
    Condition condition;
    UtcNanos since;
    std::optional<UtcNanos> last_healthy;
    Finding finding;  // the last whole one
    Finding next;
    int outstanding = 0;
    unsigned looks = 0;
    bool claims = false;  // the primary identity
    bool told = false;    // its registrar has ever told its identity
    identity::Decision epoch;
  };

  void look();
  void look_at(const std::string& cluster);
  void answered(const std::string& cluster);
  void keep_policies_fresh();
  message::Body sets_of(const std::string& cluster) const;
  identity::Sight sight_of(const std::string& cluster) const;
  void choose();
  Result<void> keep(const std::function<void(journal::Transaction&)>& what);
  message::Body prompt() const;

  service::Surroundings& here_;
  service::IdentitySite& site_;
  std::map<std::string, Client> clients_;
  std::map<std::string, policy::Policy> policies_;
  std::map<std::string, message::Body> points_;  // cluster -> its points
  std::string application_;
  bool loud_ = false;
  std::optional<transport::Reactor::TimerId> timer_;
  std::optional<transport::Reactor::TimerId> policies_timer_;
};

extern const char* const kWatchTable;

}  // namespace lockstep::health
