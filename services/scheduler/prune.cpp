#include "services/scheduler/prune.hpp"

#include <spdlog/spdlog.h>

#include <set>

#include "common/message/bytes.hpp"
#include "common/service/log.hpp"
#include "services/scheduler/origin.hpp"
#include "services/scheduler/retention.hpp"

namespace lockstep::scheduler {

using message::Body;

struct Pruner::Job {
  std::vector<std::string> services;
  bool dry_run = false;
  identity::Decision decision;  // who is the primary: the other cluster's points are sorted
  Then then;
  std::vector<Pruning> prunings;
  Body deleted = Body::array();
  Body kept = Body::array();
  std::size_t left = 0;
};

namespace {

constexpr Nanos kTryAgain = seconds(30);

Body row(const Body& point, Body why) {
  return {{"id", point.at("id")},
          {"service", point.at("service")},
          {"moment", point.at("moment")},
          {"why", std::move(why)}};
}

}  // namespace

Result<void> Pruner::resume() {
  LOCKSTEP_TRY(const auto open, store_.open_prunings());
  for (const Pruning& pruning : open) remove(pruning, [](const Result<void>&) {});
  return {};
}

void Pruner::prune(const std::string& service, bool dry_run, Then then) {
  auto job = std::make_shared<Job>();
  job->dry_run = dry_run;
  job->then = std::move(then);
  for (const auto& [name, held] : policies_.all())
    if (service.empty() || name == service) job->services.push_back(name);
  if (job->services.empty() && !service.empty()) {
    job->then(
        make_error(ErrorCode::policy_unknown, "there is no policy for this service", service));
    return;
  }
  const auto decision = identity_.known();
  if (!decision) {
    job->then(decision.error());
    return;
  }
  job->decision = *decision;
  std::set<std::string> clusters;
  for (const std::string& name : job->services) {
    const HeldPolicy& held = policies_.all().at(name);
    const auto origin = resolve(held.policy, held.version, here_.site, job->decision);
    if (origin) clusters.insert(origin.value().secondary);
  }
  job->left = clusters.size();
  if (clusters.empty()) {
    carry_out(job);
    return;
  }
  const auto unreachable = std::make_shared<std::optional<Error>>();
  for (const std::string& cluster : clusters) {
    catalog_.refresh(cluster, seconds(10), [this, job, unreachable](const Result<void>& done) {
      if (!done) *unreachable = done.error();
      if (--job->left > 0) return;
      if (*unreachable)
        job->then(**unreachable);
      else
        carry_out(job);
    });
  }
}

void Pruner::prune_in_the_end(const std::string& service) {
  prune(service, false, [this, service](const Result<Body>& pruned) {
    if (pruned || pruned.error().code == ErrorCode::policy_unknown) return;
    service::log_error(pruned.error());
    if (!waiting_.insert(service).second) return;
    here_.reactor.after(kTryAgain, [this, service] {
      waiting_.erase(service);
      prune_in_the_end(service);
    });
  });
}

Result<void> Pruner::sort(Job& job) const {
  for (const std::string& name : job.services) {
    const auto held = policies_.all().find(name);
    if (held == policies_.all().end()) continue;  // removed meanwhile: its points stay
    LOCKSTEP_TRY(const Origin origin,
                 resolve(held->second.policy, held->second.version, here_.site, job.decision));
    LOCKSTEP_TRY(const auto points, store_.points(name, origin.secondary));
    std::vector<KeptPoint> candidates;
    std::map<std::string, const Body*> by_id;
    for (const Body& point : points) {
      LOCKSTEP_TRY(const UtcNanos moment, parse_rfc3339(point.at("moment").get<std::string>()));
      const std::string id = point.at("id");
      candidates.push_back({id, moment, point.value("verified_ok", true)});
      by_id[id] = &point;
    }
    const policy::Policy& policy = held->second.policy;
    LOCKSTEP_TRY(const auto sorted,
                 sort_points(std::move(candidates), policy.retention, policy.schedule.zone));
    for (const Sorted& one : sorted) {
      if (one.keep) {
        job.kept.push_back(row(*by_id.at(one.id), one.why));
      } else {
        job.prunings.push_back({one.id, name, origin.secondary, one.why.front()});
        job.deleted.push_back(row(*by_id.at(one.id), one.why.front()));
      }
    }
  }
  return {};
}

void Pruner::carry_out(std::shared_ptr<Job> job) {
  if (const auto sorted = sort(*job); !sorted) {
    job->then(sorted.error());
    return;
  }
  if (job->dry_run || job->prunings.empty()) {
    job->then(Body{{"delete", job->deleted}, {"keep", job->kept}});
    return;
  }
  if (const auto intended = store_.intend_pruning(job->prunings); !intended) {
    if (intended.error().code == ErrorCode::journal_write) here_.fail(intended.error());
    job->then(intended.error());
    return;
  }
  const Body wanted = std::move(job->deleted);
  job->deleted = Body::array();
  job->left = job->prunings.size();
  for (std::size_t i = 0; i < job->prunings.size(); ++i) {
    remove(job->prunings[i], [job, point = wanted.at(i)](const Result<void>& done) {
      if (done) {
        job->deleted.push_back(point);
      } else {
        job->kept.push_back(row(point, Body::array({message::text_or_bytes("to be deleted, but: " +
                                                                           done.error().text())})));
      }
      if (--job->left == 0) job->then(Body{{"delete", job->deleted}, {"keep", job->kept}});
    });
  }
}

void Pruner::remove(const Pruning& pruning, std::function<void(Result<void>)> then) {
  const config::Agent* registrar = here_.site.registrar(pruning.cluster);
  if (registrar == nullptr) {
    then(make_error(ErrorCode::not_found, "the cluster has no registrar", pruning.cluster));
    return;
  }
  message::Envelope envelope;
  envelope.type = "point.delete";
  envelope.epoch = here_.epoch();
  envelope.body = {{"id", pruning.point}, {"service", pruning.service}, {"even_newest", false}};
  transport::RequestOptions options;
  options.stall = seconds(30);
  options.deadline = seconds(3600);
  here_.client.request(registrar->name, std::move(envelope), options, {},
                       [this, pruning, then = std::move(then)](const Result<Body>& end) {
                         std::optional<Error> error;
                         // One that is gone has been deleted: by this pruning, before its answer
                         // was recorded.
                         if (!end && end.error().code != ErrorCode::point_missing)
                           error = end.error();
                         if (error) service::log_error(*error);
                         const auto ended = store_.end_pruning(pruning, error, here_.clock.utc());
                         if (!ended) {
                           if (ended.error().code == ErrorCode::journal_write)
                             here_.fail(ended.error());
                           then(ended);
                           return;
                         }
                         here_.events.flush();
                         if (!error)
                           spdlog::info("point {} of {} pruned", pruning.point, pruning.service);
                         then(error ? Result<void>{*error} : Result<void>{});
                       });
}

}  // namespace lockstep::scheduler
