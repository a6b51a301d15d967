// What failback and switchover do before the decision, so that nothing is lost by it. Until then
// the present primary stays it, and whatever fails lets its application write again.
#include <spdlog/spdlog.h>

#include "common/message/uuid.hpp"
#include "common/service/log.hpp"
#include "services/health-monitor/promotion.hpp"

namespace lockstep::health {

using message::Body;

namespace {

constexpr const char* kStop = "stop-writers";
constexpr const char* kStart = "start-writers";
constexpr Nanos kLong = seconds(86400);
constexpr Nanos kWhileBusy = seconds(1);
constexpr const char* kByWord = "a person said that the application is stopped";

}  // namespace

Result<void> Promotion::may_go_back(const Job& job, const identity::Decision& newest) const {
  if (job.wanted.alone) {
    return make_error(
        ErrorCode::guard, "a planned change of roles needs the agreement of the sites",
        job.wanted.primary, "`lockstep promote --force-alone` is for a lone survivor");
  }
  if (!job.word && !hooks_.has(kStop)) {
    return make_error(ErrorCode::guard,
                      "the site has no hook `stop-writers` that stops the application",
                      here_.site.hooks,
                      "make one (docs/operations.md), or stop the application in both clusters and "
                      "repeat with --stopped");
  }
  if (job.how == How::switchover) {
    LOCKSTEP_TRY(const bool diverged, may_have_diverged(here_.journal, job.wanted.primary, newest));
    if (diverged) {
      return make_error(ErrorCode::guard,
                        "the cluster was superseded by a promotion and may have written what "
                        "nobody carried over",
                        job.wanted.primary, "`lockstep failback` keeps that aside first");
    }
  }
  return {};
}

// The application of the cluster that takes over: what it wrote after this would be lost.
void Promotion::confirm() {
  if (job_->word) return next(Stage::confirmed);
  hooks_.call(kStop, job_->wanted.primary, environment(), [this](const SiteHooks::End& end) {
    if (end.succeeded) return next(Stage::confirmed);
    give_up(make_error(ErrorCode::guard,
                       "the application of " + job_->wanted.primary +
                           " is not confirmed to be stopped: " + end.said,
                       job_->wanted.primary,
                       "stop it, then repeat; --stopped is your own word for it"));
  });
}

void Promotion::set_aside() {
  Body services = Body::object();
  for (auto& one : job_->services) {
    if (one.aside.empty()) one.aside = message::make_uuid7(here_.clock.utc());
    services[one.service] = one.aside;
  }
  if (!keep()) return;  // the names, before anything has them
  ask("scheduler", "divergence.pin",
      {{"cluster", job_->wanted.primary}, {"services", std::move(services)}}, kLong,
      [this](const Result<Body>& end) {
        if (!end) return go_back(end.error());
        job_->divergent = end->at("services");
        next(Stage::set_aside);
      });
}

void Promotion::run_service(std::size_t index, std::function<void(const Body&)> then) {
  ask("scheduler", "run.start",
      {{"service", job_->services[index].service}, {"wait", true}, {"dry_run", false}}, kLong,
      [this, index, then = std::move(then)](const Result<Body>& end) {
        if (end) return then(*end);
        if (end.error().code != ErrorCode::run_busy) return go_back(end.error());
        // One of the schedule's is at work: it is waited for.
        here_.reactor.after(kWhileBusy, [this, index, then] { run_service(index, then); });
      });
}

void Promotion::catch_up(std::size_t index) {
  if (index == job_->services.size()) return next(Stage::caught_up);
  run_service(index, [this, index](const Body&) { catch_up(index + 1); });
}

void Promotion::stop_writers() {
  const auto stopped = [this](const std::string& said) {
    job_->confirmed = true;
    job_->isolation = said;
    next(Stage::stopped);
  };
  if (job_->word) return stopped(kByWord);
  hooks_.call(kStop, job_->old, environment(), [this, stopped](const SiteHooks::End& end) {
    if (end.succeeded) return stopped(end.said);
    go_back(make_error(ErrorCode::hook_failed,
                       "the application of " + job_->old + " could not be stopped: " + end.said,
                       job_->old));
  });
}

// With the writers stopped: what becomes live lacks nothing.
void Promotion::carry(std::size_t index) {
  while (index < job_->services.size() && !job_->services[index].point.empty()) ++index;
  if (index == job_->services.size()) return carry_users();
  run_service(index, [this, index](const Body& end) {
    job_->services[index].point = end.at("point").get<std::string>();
    job_->services[index].moment = end.at("moment").get<std::string>();
    if (keep()) carry(index + 1);
  });
}

// The directory of users too: from the decision on the new primary's wins.
void Promotion::carry_users() {
  if (!here_.site.has_directories()) return next(Stage::carried);
  ask("scheduler", "users.sync", {{"dry_run", false}}, kLong, [this](const Result<Body>& end) {
    if (end) return next(Stage::carried);
    if (end.error().code != ErrorCode::run_busy) return go_back(end.error());
    here_.reactor.after(kWhileBusy, [this] { carry_users(); });  // that of the last run
  });
}

// Nothing was decided: the present primary's application goes on.
void Promotion::go_back(const Error& error) {
  if (job_->stage < Stage::caught_up || job_->word) return give_up(error);
  spdlog::warn("the {} of {} is given up; the application of {} is started again",
               how_name(job_->how), job_->wanted.primary, job_->old);
  hooks_.call(kStart, job_->old, environment(), [this, error](const SiteHooks::End& end) {
    Error told = error;
    if (!end.succeeded) {
      told.hint = "start the application of " + job_->old + " by hand: " + end.said;
    }
    give_up(told);
  });
}

}  // namespace lockstep::health
