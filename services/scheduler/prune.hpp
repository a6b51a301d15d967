// Pruning: deletes whole points that no rule of the policy's retention keeps. A job of its own,
// never part of a run: intended in the journal, asked of the secondary's registrar, recorded.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/service/identity_follower.hpp"
#include "common/service/service.hpp"
#include "services/scheduler/catalog.hpp"
#include "services/scheduler/policies.hpp"
#include "services/scheduler/store.hpp"

namespace lockstep::scheduler {

class Pruner {
 public:
  // With the body of prune.done.
  using Then = std::function<void(Result<message::Body>)>;

  Pruner(service::Surroundings& here, const service::IdentityFollower& identity,
         const Policies& policies, Catalog& catalog, Store& store)
      : here_(here), identity_(identity), policies_(policies), catalog_(catalog), store_(store) {}

  // Goes on with what was intended before the process ended.
  Result<void> resume();
  // The catalog is asked for anew first: nothing is deleted by hearsay. `service` empty: all that
  // have a policy. Only the points of the cluster that is the secondary now are sorted. Errors:
  // policy-unknown, unreachable.
  void prune(const std::string& service, bool dry_run, Then then);
  // What is due after a complete run, and, with "", after a start, because the process may have
  // ended between a run and its pruning. Tried until it was carried out.
  void prune_in_the_end(const std::string& service);

 private:
  struct Job;
  Result<void> sort(Job& job) const;
  void carry_out(std::shared_ptr<Job> job);
  void remove(const Pruning& pruning, std::function<void(Result<void>)> then);

  service::Surroundings& here_;
  const service::IdentityFollower& identity_;
  const Policies& policies_;
  Catalog& catalog_;
  Store& store_;
  std::set<std::string> waiting_;  // services that prune_in_the_end() will try again
};

}  // namespace lockstep::scheduler
