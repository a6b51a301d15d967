// Divergence: what a superseded primary has written and nobody carried over is pinned there, held
// for good, and listed against the newest recovery point (docs/operations.md, "The way back").
//
// Like the pins of a run, but without fences (its application is stopped), judgement or transfer.
// The caller names the pins; asked again under the same names it finds done what was done.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "common/service/identity_follower.hpp"
#include "common/service/service.hpp"
#include "services/scheduler/policies.hpp"
#include "services/scheduler/store.hpp"

namespace lockstep::scheduler {

class Divergence {
 public:
  Divergence(service::Surroundings& here, const service::IdentityFollower& identity,
             const Policies& policies, Store& store)
      : here_(here), identity_(identity), policies_(policies), store_(store) {}

  // divergence.pin. Errors: guard (the cluster is the primary), policy-unknown, unreachable, and
  // those of the agents; then nothing of the service that failed is pinned.
  void pin(const transport::Request& request);
  // Whether this run is one of the pins under way.
  bool knows(const std::string& run) const { return under_way_.contains(run); }

 private:
  struct Job;
  using JobPtr = std::shared_ptr<Job>;
  using Then = std::function<void(const message::Body&)>;

  void next_service(const JobPtr& job);
  void next_step(const JobPtr& job);
  void list(const JobPtr& job);
  void give_up(const JobPtr& job, const Error& error);
  void ask(const JobPtr& job, const std::string& to, const std::string& type,
           const std::string& step, message::Body body, Then then);

  service::Surroundings& here_;
  const service::IdentityFollower& identity_;
  const Policies& policies_;
  Store& store_;
  std::set<std::string> under_way_;
};

}  // namespace lockstep::scheduler
