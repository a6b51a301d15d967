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

constexpr Nanos kHookPatience = seconds(30);
constexpr Nanos kShort = seconds(10);
constexpr Nanos kLong = seconds(86400);
constexpr Nanos kSwitchPatience = seconds(20);
constexpr Nanos kLookAgain = milliseconds(200);

}  // namespace

Promotion::~Promotion() {
  if (hook_.joinable()) {
    hook_.request_stop();
    hook_.join();
  }
}

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
  spdlog::warn("the promotion of {} goes on after `{}`", job_->wanted.primary,
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
  if (job_ && !dry_run) {
    if (job_->wanted.primary != cluster) {
      request.failed(make_error(ErrorCode::run_busy, "a promotion is under way",
                                job_->wanted.primary, "let it end first: repeat it"));
      return;
    }
    request.accepted();
    watchers_.push_back(request);
    if (!running_) {
      running_ = true;
      go_on();
    }
    return;
  }
  if (body.at("force_alone").get<bool>() && !dry_run) {
    if (auto forced = site_.force_known(); !forced) {
      request.failed(forced.error());
      return;
    }
  }
  const auto newest = site_.current();
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

void Promotion::plan(const Request& request, const identity::Decision& newest) {
  const std::string cluster = request.body().at("cluster");
  ask(here_.site.registrar(cluster)->name, "point.list", Body::object(), kShort,
      [this, request, newest](const Result<Body>& end) {
        if (!end) {
          request.failed(end.error());
          return;
        }
        planned(request, newest, end->at("points"));
      });
}

// Which point of each service becomes live: the newest that is not known to be bad, or the one that
// the user names.
void Promotion::planned(const Request& request, const identity::Decision& newest,
                        const Body& points) {
  const Body& body = request.body();
  Job job;
  job.wanted = {newest.number + 1,
                message::make_uuid7(here_.clock.utc()),
                body.at("cluster").get<std::string>(),
                request.peer().name,
                to_rfc3339(here_.clock.utc()),
                body.at("force_alone").get<bool>()};
  job.old = newest.primary;
  if (newest.primary == job.wanted.primary) {
    if (newest.number == 1 || watch_.application() == newest.primary) {
      request.failed(make_error(ErrorCode::guard, "the cluster is the primary already",
                                newest.primary, "nothing was changed"));
      return;
    }
    // Decided, but whoever had asked for it never finished: this finishes it.
    job.wanted = newest;
    job.stage = Stage::decided;
    for (const auto& [name, cluster] : here_.site.clusters) {
      if (name != newest.primary) job.old = name;
    }
  }
  std::set<std::string> names;
  for (const auto& [service, policy] : watch_.policies()) names.insert(service);
  for (const Body& point : points) names.insert(point.at("service").get<std::string>());
  for (const auto& [service, id] : body.at("points").items()) names.insert(service);
  for (const std::string& service : names) {
    Job::Service row{service, {}, {}, nullptr};
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
      request.failed(make_error(ErrorCode::point_missing,
                                "the cluster has no such point of " + service,
                                body.at("points").at(service).get<std::string>()));
      return;
    }
    job.services.push_back(std::move(row));
  }
  if (body.at("dry_run").get<bool>() || job_) {
    const auto shown = std::exchange(job_, std::move(job));
    Body out = this->body();
    job_ = shown;
    out["dry_run"] = true;
    request.done(std::move(out));
    return;
  }
  job_ = std::move(job);
  watchers_.push_back(request);
  running_ = true;
  spdlog::warn("{} asks for the promotion of {}", job_->wanted.by, job_->wanted.primary);
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
  spdlog::info("promotion of {}: {}", job_->wanted.primary, stage_name(stage));
  tell_stage();
  go_on();
}

void Promotion::go_on() {
  switch (job_->stage) {
    case Stage::planned:
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
    case Stage::complete: {
      const Body out = body();
      running_ = false;
      job_.reset();
      for (const auto& watcher : std::exchange(watchers_, {})) watcher.done(out);
      return;
    }
  }
}

void Promotion::decide() {
  agreement_.propose(job_->wanted, [this](const Result<identity::Decision>& decided) {
    if (decided) return next(Stage::decided);
    // Whether another try carries this one to its end is decided among the sites; the user is told,
    // and asks again.
    if (decided.error().code == ErrorCode::guard) {
      const Error error = decided.error();
      if (!keep(true)) return;
      fail(error);
      job_.reset();
      return;
    }
    fail(decided.error());
  });
}

// The old primary is stopped by the site's own hook, where there is one: power, network,
// hypervisor.
void Promotion::isolate() {
  const std::string hook = here_.site.hooks + "/isolate";
  if (!here_.disk.stat_at(os::kCwd, hook)) {
    job_->confirmed = false;
    job_->isolation = "there is no hook " + hook;
    return next(Stage::isolated);
  }
  os::Command command;
  command.argv = {hook, job_->old};
  command.environment = {{"LOCKSTEP_CLUSTER", job_->old},
                         {"LOCKSTEP_PROMOTION", job_->wanted.promotion}};
  if (hook_.joinable()) hook_.join();
  hook_ = std::jthread([this, command](const std::stop_token& stop) {
    auto finished = here_.processes.run(command, kHookPatience, stop);
    here_.reactor.post([this, finished = std::move(finished)] {
      job_->confirmed = finished && finished->exit_status == 0 && !finished->timed_out;
      job_->isolation = !finished             ? finished.error().text()
                        : finished->timed_out ? "the hook did not end in time"
                        : job_->confirmed
                            ? "the hook succeeded"
                            : "the hook ended with " + std::to_string(finished->exit_status);
      next(Stage::isolated);
    });
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
  if (watch_.application() == job_->wanted.primary) return next(Stage::complete);
  if (here_.clock.mono() > until) {
    return fail(make_error(ErrorCode::stalled,
                           "the data is live and the identity set, but the application's client "
                           "does not see it",
                           job_->wanted.primary, "see `lockstep client`; repeat the promotion"));
  }
  watch_.look_soon();
  here_.reactor.after(kLookAgain, [this, until] { switch_client(until); });
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
          {"old", job_->old},
          {"dry_run", false},
          {"old_primary", job_->confirmed ? "confirmed" : "unconfirmed"},
          {"isolation", job_->isolation},
          {"runs", job_->runs},
          {"services", std::move(services)},
          {"application", watch_.application()}};
}

}  // namespace lockstep::health
