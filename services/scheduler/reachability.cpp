#include "services/scheduler/reachability.hpp"

#include <spdlog/spdlog.h>

namespace lockstep::scheduler {
namespace {

constexpr Nanos kEvery = seconds(5);
constexpr Nanos kPatience = seconds(4);

// Whoever answers at all, if only by an error, is there.
bool silence(ErrorCode code) {
  return code == ErrorCode::unreachable || code == ErrorCode::transport ||
         code == ErrorCode::stalled || code == ErrorCode::deadline;
}

}  // namespace

Reachability::Reachability(service::Surroundings& here) : here_(here) {
  for (const auto& [name, cluster] : here.site.clusters)
    for (const config::Agent& agent : cluster.agents)
      agents_[agent.name] = {false, here.clock.utc(), false};
}

void Reachability::watch() {
  for (const auto& [name, seen] : agents_)
    if (!seen.asked) ask(name);
  here_.reactor.after(kEvery, [this] { watch(); });
}

void Reachability::ask(const std::string& agent) {
  agents_.at(agent).asked = true;
  message::Envelope envelope;
  envelope.type = "ping";
  envelope.epoch = here_.epoch();
  transport::RequestOptions options;
  options.silence = seconds(1);
  options.stall = kPatience;
  options.deadline = kPatience;
  here_.client.request(agent, std::move(envelope), options, {},
                       [this, agent](const Result<message::Body>& end) {
                         Seen& seen = agents_.at(agent);
                         seen.asked = false;
                         const bool there = end || !silence(end.error().code);
                         if (there == seen.reachable) return;
                         seen.reachable = there;
                         seen.since = here_.clock.utc();
                         spdlog::info("{} is {}", agent, there ? "reachable" : "not reachable");
                       });
}

message::Body Reachability::body() const {
  message::Body list = message::Body::array();
  for (const auto& [name, seen] : agents_)
    list.push_back(
        {{"name", name}, {"reachable", seen.reachable}, {"since", to_rfc3339(seen.since)}});
  return list;
}

}  // namespace lockstep::scheduler
