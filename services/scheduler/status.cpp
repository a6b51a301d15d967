#include "services/scheduler/status.hpp"

#include "services/scheduler/messages.hpp"

namespace lockstep::scheduler {
namespace {

using message::Body;

Result<Body> service_status(const Parts& parts, const HeldPolicy& held) {
  const policy::Policy& policy = held.policy;
  Body body = {{"service", policy.service},
               {"mode", policy.mode == policy::Mode::push ? "push" : "pull"},
               {"paused", held.paused},
               {"rpo_ns", policy.rpo.count},
               {"rpo_met", policy.rpo.count == 0}};
  LOCKSTEP_TRY(const auto points, parts.store.points(policy.service, ""));
  for (const Body& point : points) {
    if (!point.value("verified_ok", true)) continue;  // the newest good one
    body["newest_point"] = point;
    LOCKSTEP_TRY(const UtcNanos moment, parse_rfc3339(point.at("moment").get<std::string>()));
    if (parts.here.clock.utc() - moment <= policy.rpo) body["rpo_met"] = true;
    break;
  }
  if (const auto next = parts.schedules.next_moment(held)) body["next_moment"] = to_rfc3339(*next);
  if (const run::State* running = parts.process.at_work(policy.service))
    body["running"] = run_body(*running);
  body["pending"] = parts.process.pending(policy.service);
  LOCKSTEP_TRY(const auto failed, parts.store.newest_in(policy.service, run::Phase::failed));
  if (failed) body["last_failure"] = run_body(failed->state);
  LOCKSTEP_TRY(body["drill"], parts.drills.body(held));
  return body;
}

}  // namespace

Result<Body> status_body(const Parts& parts) {
  const config::Site& site = parts.here.site;
  const message::Epoch epoch = parts.identity.epoch();
  const auto& decision = parts.identity.current();
  Body clusters = Body::array();
  for (const auto& [name, cluster] : site.clusters) {
    clusters.push_back({{"name", name},
                        {"identity", !decision                   ? "unknown"
                                     : name == decision->primary ? "primary"
                                                                 : "secondary"}});
  }
  Body services = Body::array();
  for (const auto& [name, held] : parts.policies.all()) {
    LOCKSTEP_TRY(Body body, service_status(parts, held));
    services.push_back(std::move(body));
  }
  Body status{{"site", site.name},
              {"epoch", {{"number", epoch.number}, {"promotion", epoch.promotion}}},
              {"clock", parts.reachability.own_clock()},
              {"clusters", std::move(clusters)},
              {"services", std::move(services)},
              {"agents", parts.reachability.body()}};
  if (auto users = parts.users.outcome()) status["users"] = std::move(*users);
  return status;
}

}  // namespace lockstep::scheduler
