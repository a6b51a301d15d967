#include "services/health-monitor/promotion.hpp"

#include <spdlog/spdlog.h>

#include <set>

#include "common/message/uuid.hpp"
#include "common/service/identity_body.hpp"
#include "common/service/log.hpp"

namespace lockstep::health {

using message::Body;
using transport::Request;

namespace {

constexpr Nanos kShort = seconds(10);
constexpr Nanos kLong = seconds(86400);
constexpr Nanos kSwitchPatience = seconds(20);
constexpr Nanos kLookAgain = milliseconds(200);

}  // namespace

void Promotion::ask(const std::string& party, const std::string& type, Body body, Nanos patience,
                    std::function<void(Result<Body>)> then) {
  message::Envelope envelope;
  envelope.type = type;
  envelope.body = std::move(body);
  if (job_ && job_->stage >= Stage::decided) {
    envelope.epoch = service::epoch_of(job_->wanted);
    envelope.run = job_->wanted.promotion;
  }
  const transport::RequestOptions options{seconds(1), std::min(patience, seconds(60)), patience};
  here_.client.request(party, std::move(envelope), options, {},
                       [then = std::move(then)](Result<Body> end) { then(std::move(end)); });
}

Result<void> Promotion::resume() {
  LOCKSTEP_TRY(job_, open_job(here_.journal));
  if (!job_) return {};
  spdlog::warn("the {} of {} goes on after `{}`", how_name(job_->how), job_->wanted.primary,
               stage_name(job_->stage));
  running_ = true;
  // Once the other services are there to be asked.
  here_.reactor.after(seconds(1), [this] { go_on(); });
  return {};
}

void Promotion::promote(const Request& request) {
  const Body& body = request.body();
  const std::string cluster = body.at("cluster");
  if (!here_.site.clusters.contains(cluster)) {
    request.failed(make_error(ErrorCode::not_found, "the site has no such cluster", cluster));
    return;
  }
  const bool dry_run = body.at("dry_run").get<bool>();
  if (job_ && !dry_run) return join(request);
  const bool forced = body.at("force_alone").get<bool>();
  if (forced && !dry_run) {
    if (auto known = site_.force_known(); !known) return request.failed(known.error());
  }
  const auto newest = forced ? site_.if_forced() : site_.current();
  if (!newest) {
    request.failed(
        make_error(ErrorCode::unreachable, "the control device does not know the identity epoch",
                   identity::Decision{}.primary,
                   "it learns it from both clusters; `--force-alone` goes on with what it has"));
    return;
  }
  request.accepted();
  plan(request, *newest);
}

// The one under way is what was asked for; or it is in the way.
void Promotion::join(const Request& request) {
  const Body& body = request.body();
  if (job_->wanted.primary != body.at("cluster") ||
      how_name(job_->how) != body.value("how", "promotion")) {
    request.failed(make_error(ErrorCode::run_busy,
                              std::string("a ") + how_name(job_->how) + " is under way",
                              job_->wanted.primary, "let it end first: repeat it"));
    return;
  }
  request.accepted();
  watchers_.push_back(request);
  if (running_) return;
  running_ = true;
  go_on();
}

void Promotion::plan(const Request& request, const identity::Decision& newest) {
  const std::string cluster = request.body().at("cluster");
  ask(here_.site.registrar(cluster)->name, "point.list", Body::object(), kShort,
      [this, request, newest](const Result<Body>& end) {
        if (!end) {
          request.failed(end.error());
          return;
        }
        // Of the planned ways every service in force has to be carried: an old list would lose one.
        watch_.refresh_policies([this, request, newest,
                                 points = end->at("points")](const Result<void>& fresh) {
          const bool must = request.body().value("how", "promotion") != std::string("promotion");
          if (!fresh && must) return request.failed(fresh.error());
          planned(request, newest, points);
        });
      });
}

// Which point of each service becomes live: the newest that is not known to be bad, or the one that
// the user names. Of a planned way it is the one that will be made.
Result<Job> Promotion::job_for(const Request& request, const identity::Decision& newest,
                               const Body& points) const {
  const Body& body = request.body();
  Job job;
  for (const How how : {How::failback, How::switchover}) {
    if (body.value("how", "") == how_name(how)) job.how = how;
  }
  job.word = body.value("stopped", false);
  job.wanted = {newest.number + 1,
                message::make_uuid7(here_.clock.utc()),
                body.at("cluster").get<std::string>(),
                request.peer().name,
                to_rfc3339(here_.clock.utc()),
                body.at("force_alone").get<bool>()};
  job.old = newest.primary;
  if (newest.primary == job.wanted.primary) {
    // What a complete one has to say of the way back must not be written over because the clients
    // look elsewhere for a moment.
    LOCKSTEP_TRY(const bool complete, is_complete(here_.journal, newest.promotion));
    if (newest.number == 1 || complete || watch_.application() == newest.primary) {
      return make_error(ErrorCode::guard, "the cluster is the primary already", newest.primary,
                        "nothing was changed");
    }
    // Decided, but whoever had asked for it never finished: this finishes it.
    job.how = How::promotion;
    job.wanted = newest;
    job.stage = Stage::decided;
    for (const auto& [name, cluster] : here_.site.clusters) {
      if (name != newest.primary) job.old = name;
    }
  }
  if (job.how != How::promotion) {
    LOCKSTEP_CHECK(may_go_back(job, newest));
    for (const auto& [service, policy] : watch_.policies()) {
      job.services.push_back({service, {}, {}, nullptr, {}});
    }
    return job;
  }
  std::set<std::string> names;
  for (const auto& [service, policy] : watch_.policies()) names.insert(service);
  for (const Body& point : points) names.insert(point.at("service").get<std::string>());
  for (const auto& [service, id] : body.at("points").items()) names.insert(service);
  for (const std::string& service : names) {
    Job::Service row{service, {}, {}, nullptr, {}};
    const bool named = body.at("points").contains(service);
    for (const Body& point : points) {
      if (point.at("service") != service) continue;
      if (named ? point.at("id") != body.at("points").at(service)
                : !point.value("verified_ok", true)) {
        continue;
      }
      row.point = point.at("id").get<std::string>();
      row.moment = point.at("moment").get<std::string>();
      break;
    }
    if (named && row.point.empty()) {
      return make_error(ErrorCode::point_missing, "the cluster has no such point of " + service,
                        body.at("points").at(service).get<std::string>());
    }
    job.services.push_back(std::move(row));
  }
  return job;
}

void Promotion::planned(const Request& request, const identity::Decision& newest,
                        const Body& points) {
  const bool dry_run = request.body().at("dry_run").get<bool>();
  if (job_ && !dry_run) return join(request);  // another one was faster
  auto job = job_for(request, newest, points);
  if (!job) return request.failed(job.error());
  if (dry_run) {
    const auto shown = std::exchange(job_, std::move(*job));
    Body out = this->body();
    job_ = shown;
    out["dry_run"] = true;
    return request.done(std::move(out));
  }
  job_ = std::move(*job);
  watchers_.push_back(request);
  running_ = true;
  spdlog::warn("{} asks for the {} of {}", job_->wanted.by, how_name(job_->how),
               job_->wanted.primary);
  if (keep()) go_on();
}

bool Promotion::keep(bool given_up) {
  auto kept = keep_job(here_.journal, *job_, given_up);
  here_.events.flush();
  if (kept) return true;
  if (kept.error().code == ErrorCode::journal_write) here_.fail(kept.error());
  fail(kept.error());
  return false;
}

void Promotion::tell_stage() {
  for (const auto& watcher : watchers_) watcher.progress({{"stage", stage_name(job_->stage)}});
}

void Promotion::next(Stage stage) {
  job_->stage = stage;
  if (!keep()) return;
  spdlog::info("{} of {}: {}", how_name(job_->how), job_->wanted.primary, stage_name(stage));
  tell_stage();
  go_on();
}

void Promotion::go_on() {
  switch (job_->stage) {
    case Stage::planned:
      return job_->how == How::promotion ? decide() : confirm();
    case Stage::confirmed:
      return job_->how == How::failback ? set_aside() : catch_up(0);
    case Stage::set_aside:
      return catch_up(0);
    case Stage::caught_up:
      return stop_writers();
    case Stage::stopped:
      return carry(0);
    case Stage::carried:
      return decide();
    case Stage::decided:
      return isolate();
    case Stage::isolated:
      return stand_down();
    case Stage::stood_down:
      return activate();
    case Stage::activated:
      return identify();
    case Stage::identified:
      watch_.look_soon();
      return switch_client(here_.clock.mono() + kSwitchPatience);
    case Stage::switched:
      return start_application();
    case Stage::complete:
      return end();
  }
}

void Promotion::end() {
  const Body out = body();
  running_ = false;
  job_.reset();
  for (const auto& watcher : std::exchange(watchers_, {})) watcher.done(out);
}

void Promotion::decide() {
  agreement_.propose(job_->wanted, [this](const Result<identity::Decision>& decided) {
    if (decided) return next(Stage::decided);
    // Whether another try carries this one to its end is decided among the sites; the user is told,
    // and asks again.
    if (decided.error().code != ErrorCode::guard) return fail(decided.error());
    if (job_->how == How::promotion) return give_up(decided.error());
    go_back(decided.error());
  });
}

std::map<std::string, std::string> Promotion::environment() const {
  return {{"LOCKSTEP_PROMOTION", job_->wanted.promotion}};
}

// The old primary is stopped by the site's own hook, where there is one: power, network,
// hypervisor. In the planned ways its writers are stopped already, and it is needed.
void Promotion::isolate() {
  if (job_->how != How::promotion) return next(Stage::isolated);
  hooks_.call("isolate", job_->old, environment(), [this](const SiteHooks::End& end) {
    job_->confirmed = end.succeeded;
    job_->isolation = end.said;
    next(Stage::isolated);
  });
}

void Promotion::stand_down() {
  ask("scheduler", "identity.supersede", {{"decision", service::body_of(job_->wanted)}}, kShort,
      [this](const Result<Body>& end) {
        if (!end) return fail(end.error());
        end->at("runs").get_to(job_->runs);
        next(Stage::stood_down);
      });
}

void Promotion::activate() { activate_next(0); }

void Promotion::activate_next(std::size_t index) {
  while (index < job_->services.size() &&
         (job_->services[index].point.empty() || !job_->services[index].sets.is_null())) {
    ++index;
  }
  if (index == job_->services.size()) return next(Stage::activated);
  ask(here_.site.registrar(job_->wanted.primary)->name, "point.activate",
      {{"id", job_->services[index].point}}, kLong, [this, index](const Result<Body>& end) {
        if (!end) return fail(end.error());
        job_->services[index].sets = end->at("sets");
        if (keep()) activate_next(index + 1);
      });
}

void Promotion::identify() {
  ask(here_.site.registrar(job_->wanted.primary)->name, "identity.activate",
      {{"promotion", job_->wanted.promotion}}, kShort, [this](const Result<Body>& end) {
        if (!end) return fail(end.error());
        next(Stage::identified);
      });
}

// The clients see it themselves; this waits for them.
void Promotion::switch_client(MonoNanos until) {
  if (watch_.application() == job_->wanted.primary) return next(Stage::switched);
  if (here_.clock.mono() > until) {
    return fail(make_error(ErrorCode::stalled,
                           "the data is live and the identity set, but the application's client "
                           "does not see it",
                           job_->wanted.primary, "see `lockstep client`; repeat the promotion"));
  }
  watch_.look_soon();
  here_.reactor.after(kLookAgain, [this, until] { switch_client(until); });
}

void Promotion::start_application() {
  hooks_.call("start-writers", job_->wanted.primary, environment(),
              [this](const SiteHooks::End& end) {
                job_->started = end.said;
                next(Stage::complete);
              });
}

// Nothing was decided: it is as if it had never been asked for.
void Promotion::give_up(const Error& error) {
  if (!keep(true)) return;
  fail(error);
  job_.reset();
}

void Promotion::fail(const Error& error) {
  running_ = false;
  service::log_error(error);
  for (const auto& watcher : std::exchange(watchers_, {})) watcher.failed(error);
}

Body Promotion::body() const {
  Body services = Body::array();
  for (const auto& one : job_->services) {
    Body row{{"service", one.service}};
    if (!one.point.empty()) {
      row["point"] = one.point;
      row["moment"] = one.moment;
    }
    if (!one.sets.is_null()) row["sets"] = one.sets;
    services.push_back(std::move(row));
  }
  return {{"decision", service::body_of(job_->wanted)},
          {"how", how_name(job_->how)},
          {"divergent", job_->divergent},
          {"started", job_->started},
          {"old", job_->old},
          {"dry_run", false},
          {"old_primary", job_->confirmed ? "confirmed" : "unconfirmed"},
          {"isolation", job_->isolation},
          {"runs", job_->runs},
          {"services", std::move(services)},
          {"application", watch_.application()}};
}

}  // namespace lockstep::health
