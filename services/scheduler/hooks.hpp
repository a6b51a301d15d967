// Hooks: the policy's commands before and after a run, on this host (docs/run.md, "Hooks").
//
// Thread rule: the reactor's thread; each hook runs on a thread of its own and comes back by
// post().
#pragma once

#include <functional>
#include <list>
#include <string>
#include <thread>

#include "common/os/processes.hpp"
#include "common/policy/policy.hpp"
#include "common/transport/reactor.hpp"
#include "services/scheduler/run/state.hpp"

namespace lockstep::scheduler {

class Hooks {
 public:
  using Then = std::function<void(Result<void>)>;

  Hooks(transport::Reactor& reactor, os::Processes& processes)
      : reactor_(reactor), processes_(processes) {}
  ~Hooks();  // stops what runs, and waits for it

  // Error: hook-failed with the exit status, or what the end of its output says.
  void run(const policy::Hook& hook, const run::State& state, run::Act act, Then then);

 private:
  transport::Reactor& reactor_;
  os::Processes& processes_;
  std::list<std::jthread> running_;
};

}  // namespace lockstep::scheduler
