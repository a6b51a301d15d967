// Orphans: pins that agents hold for runs which this scheduler knows nothing of, because its
// journal was lost. Nobody else would ever end them: what belongs to no point is dropped, what
// belongs to one becomes the base, unless a newer one is it.
//
// The secondary's registrar decides: it refuses to drop a run that is a recovery point, and once it
// has dropped one, that run can never become a point.
//
// Thread rule: the reactor's thread.
#pragma once

#include <set>
#include <string>

#include "common/service/service.hpp"
#include "services/scheduler/process.hpp"

namespace lockstep::scheduler {

class Orphans {
 public:
  // Both outlive it.
  Orphans(service::Surroundings& here, Process& process) : here_(here), process_(process) {}

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
  Process& process_;
  std::set<std::string> ending_;  // agent and run, under way
};

}  // namespace lockstep::scheduler
