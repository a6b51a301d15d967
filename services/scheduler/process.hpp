// Process: the edge of the run logic. It hands inputs in, journals what comes out, and only then
// asks agents, calls hooks and answers those who wait. It decides nothing itself.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "common/service/identity_follower.hpp"
#include "common/service/service.hpp"
#include "services/scheduler/asking.hpp"
#include "services/scheduler/leads.hpp"
#include "services/scheduler/run/step.hpp"
#include "services/scheduler/store.hpp"
#include "services/scheduler/views.hpp"
#include "services/scheduler/watchers.hpp"

namespace lockstep::scheduler {

class Process {
 public:
  Process(service::Surroundings& here, const service::IdentityFollower& identity, Store& store,
          Hooks& hooks);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Called when a run has become complete, after its watchers were answered.
  std::function<void(const std::string& service)> on_complete;

  // Loads what is not over and goes on with it.
  Result<void> start();

  // Plans a run and begins it as soon as its turn has come. `at`: its moment; none: the earliest.
  // Returns its id. Errors: run-busy where that moment was planned before, or `at` is none and a
  // run of the service is at work or waits for its turn; policy-invalid.
  // `asked_by`: the id of the message that asks.
  Result<std::string> plan(const Origin& origin, std::optional<UtcNanos> at,
                           const std::string& asked_by);
  // A moment of the schedule: planned, or (`missed`) noted as missed and caught up where the policy
  // says so. A moment that was planned before is left as it is.
  Result<void> plan_scheduled(const Origin& origin, UtcNanos moment);
  bool any_open(const std::string& service) const;  // a run of it is at work or waits for its turn

  // The request is answered when the run (or its last attempt) has ended.
  void watch(const std::string& run, const transport::Request& request);

  // Whether the run was ever planned here. Where the journal cannot be read: true.
  bool knows(const std::string& run);
  // Errors: not-found; guard where the run is over, or its seal is in doubt.
  Result<run::Phase> abort(const std::string& run);
  Result<run::Phase> nudge(const std::string& run);

  // Another promotion was decided: aborts what was planned under an older epoch, but for what is
  // being sealed, which the registrar ends. Returns the runs.
  std::vector<std::string> stand_down(const message::Epoch& decided);

  // As it is now, from memory or from the journal. Error: not-found.
  Result<message::Body> show(const std::string& run);
  // Newest first.
  Result<message::Body> list(const std::string& service, std::size_t limit);
  // How long before its moment a run of the service begins: arm_ahead of the site, or what arming
  // took last time, and the hook's time.
  Nanos ahead(const policy::Policy& policy);
  // The one at work, of a service; null: none.
  const run::State* at_work(const std::string& service) const;
  // How many wait for the other cluster, their pins kept: what max_pending bounds.
  std::size_t pending(const std::string& service) const;

 private:
  using What = decltype(run::Input::what);
  struct Held {
    StoredRun stored;
    Progress progress;
  };

  Held* find(const std::string& run);
  void feed(const std::string& run, What what);
  bool write(const std::string& run, const What& what, run::State next,
             const run::Effects& effects);
  void carry_out(const std::string& run, const run::Effects& effects);
  void progressed(const std::string& run, const run::StepKey& key, const message::Body& body);
  void supersede_older(const run::State& kept);
  void take_turns();
  void wake_for(run::Instant instant);
  void woken();
  Result<std::string> add(const Origin& origin, run::Plan plan, const std::string& asked_by);
  std::optional<run::Plan> next_attempt(const run::State& ended);
  void failed_to_write(const Error& error, const std::string& run, const What& what);
  run::Instant now() const { return here_.clock.utc().count; }

  service::Surroundings& here_;
  Store& store_;
  Watchers watchers_;
  std::map<std::string, Held> runs_;
  std::set<std::string> may_transfer_;
  std::set<std::string> told_;  // of these, those that were told so
  Leads leads_;
  Asking asking_;
  std::optional<transport::Reactor::TimerId> timer_;
  run::Instant timer_for_ = 0;
};

}  // namespace lockstep::scheduler
