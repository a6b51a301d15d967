// Drills by schedule: a policy's `drill:` has the newest good point brought up and checked by the
// registrar that keeps it. A job of its own, never part of a run: intended in the journal, asked
// for under one id until it has ended, or until the next one's moment has come.
//
// Thread rule: the reactor's thread.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/service/identity_follower.hpp"
#include "common/service/service.hpp"
#include "services/scheduler/drill_book.hpp"
#include "services/scheduler/policies.hpp"
#include "services/scheduler/store.hpp"

namespace lockstep::scheduler {

class Drills {
 public:
  Drills(service::Surroundings& here, const service::IdentityFollower& identity,
         const Policies& policies, Store& store)
      : here_(here), identity_(identity), policies_(policies), store_(store), book_(here.journal) {}

  // Goes on with what was intended before the process ended, and asks the registrars again and
  // again what came of drills, those that users began too.
  Result<void> start();
  // Looks at all policies' drills, begins what is due, and comes back when something will be. To be
  // called whenever a policy changed.
  void look();
  // definitions.json, drills.
  Result<message::Body> body(const HeldPolicy& held);

 private:
  Result<void> look_at_all(UtcNanos& next);
  Result<std::optional<UtcNanos>> look_at(const HeldPolicy& held);
  Result<std::optional<UtcNanos>> look_at_open(const HeldPolicy& held, const DrillWish& wish);
  Result<void> begin(const HeldPolicy& held, UtcNanos moment);
  void ask(const DrillWish& wish);
  void ended(const DrillWish& wish, const Result<message::Body>& end);
  void ask_registrars();
  void written(const Result<void>& done);  // ends the process where the journal cannot be written

  service::Surroundings& here_;
  const service::IdentityFollower& identity_;
  const Policies& policies_;
  Store& store_;
  DrillBook book_;
  std::map<std::string, DrillWish> open_;        // service
  std::map<std::string, UtcNanos> asked_again_;  // service: when an open one will be
  std::optional<transport::Reactor::TimerId> timer_;
};

}  // namespace lockstep::scheduler
