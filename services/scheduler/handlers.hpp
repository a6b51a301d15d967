// The scheduler's messages (docs/protocol.md).
//
// Thread rule: the reactor's thread.
#pragma once

#include "common/service/service.hpp"
#include "services/scheduler/catalog.hpp"
#include "services/scheduler/divergence.hpp"
#include "services/scheduler/drills.hpp"
#include "services/scheduler/policies.hpp"
#include "services/scheduler/process.hpp"
#include "services/scheduler/prune.hpp"
#include "services/scheduler/reachability.hpp"
#include "services/scheduler/schedules.hpp"
#include "services/scheduler/store.hpp"
#include "services/scheduler/users.hpp"

namespace lockstep::scheduler {

struct Parts {  // all outlive the server's handlers
  service::Surroundings& here;
  Store& store;
  service::IdentityFollower& identity;
  Policies& policies;
  Process& process;
  Schedules& schedules;
  Catalog& catalog;
  Pruner& pruner;
  Reachability& reachability;
  Divergence& divergence;
  Drills& drills;
  UserData& users;
};

void serve(const Parts& parts);

}  // namespace lockstep::scheduler
