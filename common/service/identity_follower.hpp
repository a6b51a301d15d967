// IdentityFollower: what a service that is none of the three sites knows of the identity epoch. It
// asks a site, and knows nothing of which it was not told that it is decided.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "common/identity/record.hpp"
#include "common/service/service.hpp"

namespace lockstep::service {

class IdentityFollower {
 public:
  // `party`: the site that is asked. Empty: a site without a health-monitor, where the first epoch
  // of lockstep.yaml holds for ever.
  IdentityFollower(Surroundings& here, std::string party);
  ~IdentityFollower();
  IdentityFollower(const IdentityFollower&) = delete;
  IdentityFollower& operator=(const IdentityFollower&) = delete;

  void follow();
  // Takes a decision that came another way; older ones change nothing.
  void take(const identity::Decision& decision);

  const std::optional<identity::Decision>& current() const { return current_; }
  // {0, ""} while nothing is known.
  message::Epoch epoch() const;
  // Error: unreachable.
  Result<identity::Decision> known() const;

  std::function<void(const identity::Decision&)> on_change;

 private:
  void ask();

  Surroundings& here_;
  const std::string party_;
  std::optional<identity::Decision> current_;
  std::optional<transport::Reactor::TimerId> timer_;
};

}  // namespace lockstep::service
