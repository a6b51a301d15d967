// Schedules: plans a run for every moment of every policy's schedule, in time.
//
// Thread rule: the reactor's thread.
#pragma once

#include <optional>
#include <string>

#include "common/service/service.hpp"
#include "services/scheduler/policies.hpp"
#include "services/scheduler/process.hpp"
#include "services/scheduler/store.hpp"

namespace lockstep::scheduler {

class Schedules {
 public:
  Schedules(service::Surroundings& here, const service::IdentityFollower& identity,
            const Policies& policies, Store& store, Process& process)
      : here_(here), identity_(identity), policies_(policies), store_(store), process_(process) {}

  // Looks at all schedules, plans what is due, and comes back when something will be. To be called
  // at the start and whenever a policy changed.
  void look();

  // The next moment of the service's schedule; nothing: none, or paused.
  std::optional<UtcNanos> next_moment(const HeldPolicy& held) const;

 private:
  Result<std::optional<UtcNanos>> look_at(const HeldPolicy& held);

  service::Surroundings& here_;
  const service::IdentityFollower& identity_;
  const Policies& policies_;
  Store& store_;
  Process& process_;
  std::optional<transport::Reactor::TimerId> timer_;
};

}  // namespace lockstep::scheduler
