#include "services/scheduler/divergence.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "common/service/log.hpp"
#include "services/scheduler/origin.hpp"

namespace lockstep::scheduler {

using message::Body;
using transport::Request;

namespace {

constexpr Nanos kLease = seconds(120);
constexpr transport::RequestOptions kPatience{seconds(1), seconds(60), seconds(86400)};

// In this order; a step is asked of every agent before the next one is.
constexpr const char* kSteps[] = {"instruction.snapshot", "snapshot.pin", "snapshot.commit",
                                  "snapshot.keep"};
constexpr std::size_t kCommit = 2;

}  // namespace

struct Divergence::Job {
  Request request;
  std::string cluster;
  identity::Decision decision;                                // as if that cluster were the primary
  std::vector<std::pair<std::string, std::string>> services;  // and the name of its pins
  std::size_t service = 0;
  Origin origin;
  std::vector<std::string> agents;
  std::size_t step = 0;
  std::size_t agent = 0;
  std::map<std::string, Body> versions;  // of each set
  Body done = Body::array();

  const std::string& name() const { return services[service].first; }
  const std::string& run() const { return services[service].second; }
};

void Divergence::pin(const Request& request) {
  auto job = std::make_shared<Job>(Job{request, {}, {}, {}, 0, {}, {}, 0, 0, {}, Body::array()});
  job->cluster = request.body().at("cluster").get<std::string>();
  const auto decision = identity_.known();
  if (!decision) return request.failed(decision.error());
  if (decision->primary == job->cluster) {
    return request.failed(make_error(ErrorCode::guard,
                                     "the cluster is the primary: what it writes is no divergence",
                                     job->cluster));
  }
  job->decision = *decision;
  job->decision.primary = job->cluster;
  for (const auto& [service, run] : request.body().at("services").items()) {
    job->services.emplace_back(service, run.get<std::string>());
  }
  request.accepted();
  next_service(job);
}

void Divergence::next_service(const JobPtr& job) {
  if (job->service == job->services.size()) {
    job->request.done({{"services", job->done}});
    return;
  }
  const auto held = policies_.find(job->name());
  if (!held) return job->request.failed(held.error());
  auto origin = resolve(held->policy, held->version, here_.site, job->decision);
  if (!origin) return job->request.failed(origin.error());
  job->origin = std::move(*origin);
  job->agents.clear();
  job->versions.clear();
  for (Body& set : job->origin.sets) {
    set["fence"]["kind"] = "none";
    const std::string agent = set.at("agent");
    if (std::find(job->agents.begin(), job->agents.end(), agent) == job->agents.end()) {
      job->agents.push_back(agent);
    }
  }
  job->step = job->agent = 0;
  under_way_.insert(job->run());
  next_step(job);
}

void Divergence::next_step(const JobPtr& job) {
  if (job->agent == job->agents.size()) {
    job->agent = 0;
    ++job->step;
  }
  if (job->step == std::size(kSteps)) return list(job);
  Body body{{"service", job->name()}};
  const std::string now = to_rfc3339(here_.clock.utc());
  switch (job->step) {
    case 0:
      body["moment"] = now;
      body["consistency"] = "bounded";
      body["policy_version"] = job->origin.version;
      body["lease_ns"] = kLease.count;
      body["sets"] = job->origin.sets;
      break;
    case 1: {
      Body names = Body::array();
      for (const Body& set : job->origin.sets) {
        if (set.at("agent") == job->agents[job->agent]) names.push_back(set.at("name"));
      }
      body["sets"] = std::move(names);
      body["at"] = now;
      break;
    }
    case 3:
      body["sets"] = job->origin.sets;
      body["as"] = "divergent";
      break;
    default:
      break;
  }
  const std::string agent = job->agents[job->agent];
  const std::string type = kSteps[job->step];
  ask(job, agent, type, "aside." + std::to_string(job->step + 1) + "." + agent, std::move(body),
      [this, job](const Body& end) {
        if (job->step == kCommit) {
          if (end.at("state") != "committed") {
            return give_up(job, make_error(ErrorCode::pin_expired, "the pins expired", job->name(),
                                           "repeat the command"));
          }
          for (const Body& set : end.at("sets")) {
            job->versions[set.at("name").get<std::string>()] = set.at("version");
          }
        }
        ++job->agent;
        next_step(job);
      });
}

void Divergence::list(const JobPtr& job) {
  std::optional<std::string> base;
  const auto points = store_.points(job->name(), job->origin.secondary);
  if (points && !points->empty()) base = points->front().at("id").get<std::string>();
  Body sets = job->origin.sets;
  for (Body& set : sets) {
    set["version"] = job->versions.at(set.at("name").get<std::string>());
    if (base) set["base"] = *base;
  }
  const config::Agent* reader = here_.site.registrar(job->cluster);
  ask(job, reader->name, "divergence.list", {}, {{"service", job->name()}, {"sets", sets}},
      [this, job](const Body& end) {
        spdlog::warn("what {} has of {} beyond the newest point is held as {}", job->cluster,
                     job->name(), job->run());
        job->done.push_back(
            {{"service", job->name()}, {"run", job->run()}, {"sets", end.at("sets")}});
        under_way_.erase(job->run());
        ++job->service;
        next_service(job);
      });
}

// What is pinned and not yet held for good goes; the user asks again, under other names.
void Divergence::give_up(const JobPtr& job, const Error& error) {
  service::log_error(error);
  under_way_.erase(job->run());
  for (const std::string& agent : job->agents) {
    message::Envelope envelope;
    envelope.type = "snapshot.drop";
    envelope.run = job->run();
    envelope.step = "aside.drop." + agent;
    envelope.attempt = 1;
    envelope.epoch = here_.epoch();
    envelope.body = {{"service", job->name()}, {"sets", job->origin.sets}};
    here_.client.request(agent, std::move(envelope), {seconds(1), seconds(10), seconds(60)}, {},
                         [](const Result<Body>& end) {
                           if (!end) service::log_error(end.error());
                         });
  }
  job->request.failed(error);
}

void Divergence::ask(const JobPtr& job, const std::string& to, const std::string& type,
                     const std::string& step, Body body, Then then) {
  message::Envelope envelope;
  envelope.type = type;
  if (!step.empty()) {
    envelope.run = job->run();
    envelope.step = step;
    envelope.attempt = 1;
  }
  envelope.epoch = here_.epoch();
  envelope.body = std::move(body);
  here_.client.request(
      to, std::move(envelope), kPatience,
      [job](const transport::Reply&) { job->request.progress(Body::object()); },
      [this, job, then = std::move(then)](const Result<Body>& end) {
        if (!end) return give_up(job, end.error());
        then(*end);
      });
}

}  // namespace lockstep::scheduler
