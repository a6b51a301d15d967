// Orphans: pins that agents hold for runs which this scheduler knows nothing of, because its
// journal was lost. Nobody else would ever end them: what belongs to no point is dropped, what
// belongs to one becomes the base, unless a newer one is it.
//
// The secondary's registrar decides: it refuses to drop a run that is a recovery point, and once it
// has dropped one, that run can never become a point.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "common/service/service.hpp"
#include "services/scheduler/run/plan.hpp"
#include "services/scheduler/run/state.hpp"

namespace lockstep::scheduler {

class Orphans {
 public:
  // `here` outlives it. `knows`: whether somebody here will end that run.
  Orphans(service::Surroundings& here, std::function<bool(const std::string& run)> knows)
      : here_(here), knows_(std::move(knows)) {}

  void watch();  // asks every snapshot-agent for its holds, now and every minute

 private:
  struct Held {
    std::string cluster;
    std::string agent;
    std::string service;
    std::string run;
    bool newer_base = false;  // of the service, at that agent
  };
  void look(const std::string& cluster, const std::string& agent);
  void end(const Held& held);
  void finish(const Held& held, bool is_point);
  void ask(const std::string& to, const std::string& type, run::Act act, const Held& held,
           transport::Client::OnEnd on_end);

  service::Surroundings& here_;
  const std::function<bool(const std::string&)> knows_;
  std::set<std::string> ending_;  // agent and run, under way
};

}  // namespace lockstep::scheduler
