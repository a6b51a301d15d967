#include "services/scheduler/handlers.hpp"

#include "common/service/identity_body.hpp"
#include "common/service/log.hpp"
#include "services/scheduler/status.hpp"

namespace lockstep::scheduler {
namespace {

using message::Body;
using transport::Request;
using transport::Role;

constexpr Nanos kCatalogPatience = seconds(2);
constexpr Nanos kIdentityPatience = seconds(8);  // less than a user's for a first sign
constexpr Nanos kIdentityAgain = milliseconds(200);

void answer(const Request& request, const Result<Body>& result) {
  if (result)
    request.done(result.value());
  else
    request.failed(result.error());
}

// Tells what run it is, and with `wait` of its end.
Result<void> answer_begun(const Parts& parts, const Request& request, const std::string& run) {
  LOCKSTEP_TRY(const Body shown, parts.process.show(run));
  const Body begun = {{"run", run}, {"moment", shown.at("moment")}};
  if (!request.body().at("wait").get<bool>()) {
    request.done(begun);
    return {};
  }
  request.accepted(begun);
  parts.process.watch(run, request);
  return {};
}

Result<void> start_run(const Parts& parts, const Request& request) {
  const Body& body = request.body();
  // A message that is repeated, because the process died before it answered, begins nothing anew.
  LOCKSTEP_TRY(const std::string begun, parts.store.run_begun_by(request.envelope().id));
  if (!begun.empty()) return answer_begun(parts, request, begun);
  const std::string service = body.at("service");
  LOCKSTEP_TRY(const HeldPolicy held, parts.policies.find(service));
  if (held.paused) {
    return make_error(ErrorCode::policy_paused, "the policy is paused", service);
  }
  std::optional<UtcNanos> at;
  if (body.contains("at")) {
    LOCKSTEP_TRY(const UtcNanos moment, parse_rfc3339(body.at("at").get<std::string>()));
    if (moment <= parts.here.clock.utc()) {
      return make_error(ErrorCode::run_missed, "the moment lies in the past", to_rfc3339(moment),
                        "a moment that has passed is never fired; leave --at out to run now");
    }
    at = moment;
  }
  LOCKSTEP_TRY(const identity::Decision decision, parts.identity.known());
  LOCKSTEP_TRY(const Origin origin, resolve(held.policy, held.version, parts.here.site, decision));
  if (body.at("dry_run").get<bool>()) {
    LOCKSTEP_CHECK(plan_for(origin, parts.here.site));
    if (!at && parts.process.any_open(service))
      return make_error(ErrorCode::run_busy, "a run of this service is under way", service);
    request.done({{"run", ""}, {"moment", to_rfc3339(at.value_or(parts.here.clock.utc()))}});
    return {};
  }
  LOCKSTEP_TRY(const std::string run, parts.process.plan(origin, at, request.envelope().id));
  return answer_begun(parts, request, run);
}

// Who has just been started asks for the identity epoch every second: whoever comes first waits for
// the answer instead of being sent away.
void start_when_known(const Parts& parts, const Request& request, MonoNanos until) {
  if (!parts.identity.current() && parts.here.clock.mono() < until) {
    parts.here.reactor.after(kIdentityAgain,
                             [parts, request, until] { start_when_known(parts, request, until); });
    return;
  }
  const auto started = start_run(parts, request);
  if (!started) request.failed(started.error());
}

// A policy that was applied a moment ago is the one to run by: it is asked for first.
void on_start(const Parts& parts, const Request& request) {
  parts.policies.refresh([parts, request](const Result<void>& fresh) {
    if (!fresh && !parts.policies.known()) {
      request.failed(fresh.error());
      return;
    }
    start_when_known(parts, request, parts.here.clock.mono() + kIdentityPatience);
  });
}

void on_catalog(const Parts& parts, const Request& request) {
  parts.catalog.refresh_all(kCatalogPatience, [parts, request] {
    const auto points = parts.store.points(request.body().value("service", ""), "");
    if (!points) {
      request.failed(points.error());
      return;
    }
    request.done({{"points", points.value()}});
  });
}

void on_prune(const Parts& parts, const Request& request) {
  parts.policies.refresh([parts, request](const Result<void>& fresh) {
    if (!fresh) {
      request.failed(fresh.error());
      return;
    }
    parts.pruner.prune(request.body().value("service", ""),
                       request.body().at("dry_run").get<bool>(),
                       [request](const Result<Body>& pruned) { answer(request, pruned); });
  });
}

}  // namespace

void serve(const Parts& parts) {
  transport::Server& server = parts.here.server;
  const std::set<Role> users = {Role::user};
  const std::set<Role> readers = {Role::user, Role::gateway};

  // A planned change of roles runs what a user would.
  server.on("run.start", {Role::user, Role::health_monitor},
            [parts](const Request& request) { on_start(parts, request); });
  server.on("run.list", readers, [parts](const Request& request) {
    const Body& body = request.body();
    const auto runs =
        parts.process.list(body.value("service", ""), body.at("limit").get<std::size_t>());
    answer(request, runs ? Result<Body>{Body{{"runs", runs.value()}}} : runs);
  });
  server.on("run.show", readers, [parts](const Request& request) {
    const auto run = parts.process.show(request.body().at("run"));
    answer(request, run ? Result<Body>{Body{{"run", run.value()}}} : run);
  });
  const auto change = [](const std::string& run, const Result<run::Phase>& phase) -> Result<Body> {
    if (!phase) return phase.error();
    return Body{{"run", run}, {"state", run::phase_name(phase.value())}};
  };
  server.on("run.abort", users, [parts, change](const Request& request) {
    const std::string run = request.body().at("run");
    answer(request, change(run, parts.process.abort(run)));
  });
  server.on("run.resume", users, [parts, change](const Request& request) {
    const std::string run = request.body().at("run");
    answer(request, change(run, parts.process.nudge(run)));
  });
  server.on("point.catalog", readers,
            [parts](const Request& request) { on_catalog(parts, request); });
  server.on("identity.supersede", {Role::health_monitor}, [parts](const Request& request) {
    const auto decision = service::decision_from(request.body().at("decision"));
    parts.identity.take(decision);
    request.done({{"runs", parts.process.stand_down(service::epoch_of(decision))}});
  });
  server.on("divergence.pin", {Role::health_monitor}, [parts](const Request& request) {
    parts.policies.refresh([parts, request](const Result<void>& fresh) {
      if (!fresh && !parts.policies.known()) return request.failed(fresh.error());
      parts.divergence.pin(request);
    });
  });
  server.on("users.diff", users, [parts](const Request& request) { parts.users.diff(request); });
  server.on("users.sync", {Role::user, Role::health_monitor},
            [parts](const Request& request) { parts.users.sync(request); });
  server.on("prune", users, [parts](const Request& request) { on_prune(parts, request); });
  server.on("status", readers,
            [parts](const Request& request) { answer(request, status_body(parts)); });
}

}  // namespace lockstep::scheduler
