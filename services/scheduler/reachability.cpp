#include "services/scheduler/reachability.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "services/scheduler/facts_body.hpp"
#include "services/scheduler/run/judge.hpp"

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
  const UtcNanos asked = here_.clock.utc();
  here_.client.request(agent, std::move(envelope), options, {},
                       [this, agent, asked](const Result<message::Body>& end) {
                         Seen& seen = agents_.at(agent);
                         seen.asked = false;
                         if (end) take_clock(agent, *end, asked);
                         const bool there = end || !silence(end.error().code);
                         if (there == seen.reachable) return;
                         seen.reachable = there;
                         seen.since = here_.clock.utc();
                         spdlog::info("{} is {}", agent, there ? "reachable" : "not reachable");
                       });
}

message::Body Reachability::body() const {
  message::Body list = message::Body::array();
  for (const auto& [name, seen] : agents_) {
    message::Body row{
        {"name", name}, {"reachable", seen.reachable}, {"since", to_rfc3339(seen.since)}};
    if (seen.clock.is_object()) row["clock"] = seen.clock;
    list.push_back(std::move(row));
  }
  return list;
}

message::Body Reachability::own_clock() const {
  return judged(service::clock_body(here_.clock), {});
}

message::Body Reachability::judged(const message::Body& clock,
                                   const std::optional<service::Apart>& apart) const {
  const run::HostClock host = clock_from_body(clock);
  message::Body out = clock;
  out.erase("offset_ns");
  if (host.source.empty()) out["source"] = "kernel";
  if (apart) out["apart_ns"] = {apart->least.count, apart->most.count};
  const auto own = service::clock_body(here_.clock);
  const bool one_boot =
      std::all_of(agents_.begin(), agents_.end(),
                  [&](const auto& agent) {
                    const message::Body& other = agent.second.clock;
                    return !other.is_object() || other.at("boot_id") == own.at("boot_id");
                  }) &&
      clock.at("boot_id") == own.at("boot_id");
  std::string why;
  if (!one_boot) why = run::unfit(host, here_.site.clock.sources, here_.site.clock.max_error.count);
  if (!one_boot && why.empty() && apart) {
    const run::Span allowed = host.error + own.at("error_ns").get<run::Span>();
    const run::Span least = std::max(apart->least.count, -apart->most.count);
    if (least > allowed) {
      why = "it lies at least " + to_duration({least}) +
            " apart from the control device's; their errors allow " + to_duration({allowed});
    }
  }
  out["fit"] = why.empty();
  if (!why.empty()) out["reason"] = why;
  return out;
}

void Reachability::take_clock(const std::string& agent, const message::Body& ping, UtcNanos asked) {
  if (!ping.contains("clock")) return;  // of the version before
  Seen& seen = agents_.at(agent);
  const auto apart = service::apart_of(asked, ping, here_.clock.utc());
  const message::Body before = std::exchange(seen.clock, ping.at("clock"));
  seen.clock = judged(ping.at("clock"), apart);
  const bool was_fit = !before.is_object() || before.at("fit").get<bool>();
  if (seen.clock.at("fit").get<bool>() == was_fit) return;
  spdlog::warn("the clock of {}: {}", agent, seen.clock.value("reason", "it is fit again"));
  const auto told = here_.journal.transact(
      "clock.changed", [&](journal::Transaction& transaction) -> Result<void> {
        transaction.emit("clock.changed", agent, {{"agent", agent}, {"clock", seen.clock}});
        return {};
      });
  if (!told && told.error().code == ErrorCode::journal_write) here_.fail(told.error());
  here_.events.flush();
}

}  // namespace lockstep::scheduler
