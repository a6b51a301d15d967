// Asking: sends what the run logic asks of agents and hooks, and tells what they answer, as inputs
// for it. Pins and fences are measured with their host's clock before an answer is told.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "common/service/clock_body.hpp"
#include "common/service/identity_follower.hpp"
#include "common/service/service.hpp"
#include "services/scheduler/hooks.hpp"
#include "services/scheduler/messages.hpp"
#include "services/scheduler/run/step.hpp"
#include "services/scheduler/store.hpp"

namespace lockstep::scheduler {

class Asking {
 public:
  // Called later, never from within ask().
  struct Heard {
    // How far an agent has come.
    std::function<void(const std::string& run, const run::StepKey& key, const message::Body& body)>
        progress;
    // Once for each ask() that is not let go.
    std::function<void(const std::string& run, run::Answer answer)> answer;
  };

  Asking(service::Surroundings& here, const service::IdentityFollower& identity, Store& store,
         Hooks& hooks, Heard heard);
  ~Asking();
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

  void ask(const StoredRun& stored, const run::Ask& ask);
  // Nobody waits for that answer any more.
  void let_go(const std::string& run, const run::StepKey& key);

 private:
  using Place = std::pair<std::string, run::StepKey>;  // a run's step
  using Measured = std::function<void(const std::optional<service::Apart>&)>;

  Giver giver_for(const StoredRun& stored, run::Act act) const;
  void ask_agent(const StoredRun& stored, const run::Ask& ask);
  void call_hook(const StoredRun& stored, const run::Ask& ask);
  void measure(const std::string& agent, Measured then);

  service::Surroundings& here_;
  const service::IdentityFollower& identity_;
  Store& store_;
  Hooks& hooks_;
  Heard heard_;
  const std::string program_;
  std::map<Place, std::string> requests_;  // ids, to be cancelled
};

}  // namespace lockstep::scheduler
