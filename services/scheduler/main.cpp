// lockstep-scheduler: policies into moments, moments into runs, each run to a terminal state.
#include <utility>

#include "common/service/identity_body.hpp"
#include "common/service/identity_site.hpp"
#include "common/service/log.hpp"
#include "common/service/service.hpp"
#include "services/scheduler/divergence.hpp"
#include "services/scheduler/handlers.hpp"
#include "services/scheduler/orphans.hpp"
#include "services/scheduler/status.hpp"

namespace {

using namespace lockstep;
using namespace lockstep::scheduler;

struct Scheduler {
  explicit Scheduler(service::Surroundings& here)
      : identity(here, service::health_monitor_of(here.site)),
        store(here.journal),
        hooks(here.reactor, here.processes),
        policies(here),
        process(here, identity, store, hooks),
        schedules(here, identity, policies, store, process),
        catalog(here, store),
        pruner(here, identity, policies, catalog, store),
        reachability(here),
        divergence(here, identity, policies, store),
        drills(here, identity, policies, store),
        users(here, identity),
        orphans(
            here,
            [this](const std::string& run) { return process.knows(run) || divergence.knows(run); }),
        parts{here,    store,  identity,     policies,   process, schedules,
              catalog, pruner, reachability, divergence, drills,  users} {}

  service::IdentityFollower identity;
  Store store;
  Hooks hooks;
  Policies policies;
  Process process;
  Schedules schedules;
  Catalog catalog;
  Pruner pruner;
  Reachability reachability;
  Divergence divergence;
  Drills drills;
  UserData users;
  Orphans orphans;
  Parts parts;
};

Result<std::shared_ptr<void>> set_up(service::Surroundings& here) {
  auto scheduler = std::make_shared<Scheduler>(here);
  Scheduler& all = *scheduler;
  here.epoch = [&all] { return all.identity.epoch(); };
  all.identity.on_change = [&all](const identity::Decision& decision) {
    all.process.stand_down(service::epoch_of(decision));
    all.schedules.look();
  };
  all.policies.on_change = [&all, first = true]() mutable {
    all.schedules.look();
    all.drills.look();
    if (std::exchange(first, false)) all.pruner.prune_in_the_end("");
  };
  all.process.on_complete = [&all](const std::string& service) {
    all.pruner.prune_in_the_end(service);
    all.users.sync_in_the_end();
  };
  here.snapshot = [&all] {
    const auto status = status_body(all.parts);
    return status ? status.value() : message::Body::object();
  };
  serve(all.parts);
  LOCKSTEP_CHECK(all.process.start());
  LOCKSTEP_CHECK(all.pruner.resume());
  all.policies.follow();
  all.catalog.rebuild();
  LOCKSTEP_CHECK(all.drills.start());
  LOCKSTEP_CHECK(all.users.start());
  all.reachability.watch();
  all.orphans.watch();
  all.identity.follow();
  return std::shared_ptr<void>{scheduler};
}

}  // namespace

int main(int argc, char** argv) {
  return service::run(argc, argv, transport::Role::scheduler, store_migrations(), set_up);
}
