// Policies: what the policy service holds, as far as it has told.
//
// It is asked for all of them at the start, after each of its events, and before a run that a user
// starts. Until it has answered once nothing is known; while it is away, what it said last holds.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/policy/policy.hpp"
#include "common/service/service.hpp"

namespace lockstep::scheduler {

struct HeldPolicy {
  policy::Policy policy;
  std::uint64_t version = 0;
  bool paused = false;
};

class Policies {
 public:
  using Then = std::function<void(Result<void>)>;

  // Error of later use: not-found where the site has no policy service.
  explicit Policies(service::Surroundings& here);

  std::function<void()> on_change;

  // Subscribes, and asks until it is answered.
  void follow();
  // `then` is called once with the outcome of this asking.
  void refresh(Then then);

  bool known() const { return known_; }
  const std::map<std::string, HeldPolicy>& all() const { return policies_; }
  // Errors: policy-unknown.
  Result<HeldPolicy> find(const std::string& service) const;

 private:
  void take(const message::Body& done);
  void refresh_soon();

  service::Surroundings& here_;
  std::string name_;  // of the policy service
  std::map<std::string, HeldPolicy> policies_;
  bool known_ = false;
  bool soon_ = false;
  std::unique_ptr<transport::EventFollower> follower_;
};

}  // namespace lockstep::scheduler
