#include "services/scheduler/orphans.hpp"

#include <spdlog/spdlog.h>

#include "common/service/log.hpp"

namespace lockstep::scheduler {
namespace {

constexpr Nanos kEvery = seconds(60);

transport::RequestOptions patience() { return {seconds(1), seconds(10), seconds(60)}; }

}  // namespace

void Orphans::watch() {
  for (const auto& [name, cluster] : here_.site.clusters) {
    for (const config::Agent& agent : cluster.agents)
      if (agent.role == transport::Role::snapshot_agent) look(name, agent.name);
  }
  here_.reactor.after(kEvery, [this] { watch(); });
}

void Orphans::look(const std::string& cluster, const std::string& agent) {
  message::Envelope envelope;
  envelope.type = "snapshot.holds";
  envelope.body = message::Body::object();
  envelope.epoch = here_.epoch();
  here_.client.request(agent, std::move(envelope), patience(), {},
                       [this, cluster, agent](const Result<message::Body>& answer) {
                         if (!answer) return;  // `status` tells who is away; it is asked again
                         std::set<std::string> seen;
                         for (const auto& hold : answer.value().at("holds")) {
                           Held held{cluster, agent, hold.at("service"), hold.at("run")};
                           if (hold.at("reason") != "run" || !seen.insert(held.run).second)
                             continue;
                           if (knows_(held.run)) continue;
                           for (const auto& other : answer.value().at("holds")) {
                             held.newer_base =
                                 held.newer_base || (other.at("reason") == "base" &&
                                                     other.at("service") == held.service &&
                                                     other.at("run").get<std::string>() > held.run);
                           }
                           end(held);
                         }
                       });
}

void Orphans::ask(const std::string& to, const std::string& type, run::Act act, const Held& held,
                  transport::Client::OnEnd on_end) {
  message::Envelope envelope;
  envelope.type = type;
  envelope.run = held.run;
  envelope.step = run::step_name({act, 0, to});
  envelope.attempt = 1;
  envelope.epoch = here_.epoch();
  envelope.body = {{"service", held.service}, {"sets", message::Body::array()}};
  here_.client.request(to, std::move(envelope), patience(), {}, std::move(on_end));
}

void Orphans::end(const Held& held) {
  if (!ending_.insert(held.agent + "/" + held.run).second) return;
  for (const auto& [name, cluster] : here_.site.clusters) {
    const config::Agent* registrar = here_.site.registrar(name);
    if (name == held.cluster || registrar == nullptr) continue;
    spdlog::warn("{} holds pins of run {} of {}, which this scheduler does not know", held.agent,
                 held.run, held.service);
    ask(registrar->name, "transfer.drop", run::Act::drop_transfer, held,
        [this, held](const Result<message::Body>& answer) {
          // Not reached: nothing is decided, and it is looked at again.
          const bool is_point = !answer && answer.error().code == ErrorCode::guard;
          if (answer || is_point) return finish(held, is_point);
          ending_.erase(held.agent + "/" + held.run);
        });
    return;
  }
}

void Orphans::finish(const Held& held, bool is_point) {
  const auto ended = [this, held](const Result<message::Body>& answer) {
    if (!answer) service::log_error(answer.error());
    ending_.erase(held.agent + "/" + held.run);
  };
  if (is_point && !held.newer_base) {
    ask(held.agent, "snapshot.keep", run::Act::keep, held, ended);
    return;
  }
  ask(held.agent, "snapshot.drop", run::Act::drop, held, ended);
  if (is_point) return;
  if (const config::Agent* sender = here_.site.registrar(held.cluster)) {
    ask(sender->name, "transfer.drop", run::Act::drop_transfer, held,
        [](const Result<message::Body>& answer) {
          if (!answer) service::log_error(answer.error());
        });
  }
}

}  // namespace lockstep::scheduler
