#include "services/transfer-agent/engines.hpp"

#include <spdlog/spdlog.h>

#include "services/transfer-agent/sets.hpp"

namespace lockstep::transfer {

namespace {

component::Haul haul_of(const Job& job, const std::string& to, bool whole) {
  const message::Body& set = job.set();
  const component::SetId id{job.service(), job.set_name()};
  component::Haul haul;
  haul.version = version_of(id, set.at("version"));
  haul.from_cluster = set.at("from").at("cluster").get<std::string>();
  haul.to_cluster = set.at("to").at("cluster").get<std::string>();
  haul.to = to;
  haul.place = data_set_of(id.service, set, End::to).place.location;
  haul.whole = whole;
  return haul;
}

}  // namespace

stream::Carry engine_for(const Agent& agent, const Job& job, const std::string& kind,
                         ProgressBoard& board) {
  const Engine engine = engine_of(job.set());
  if (engine == Engine::stream || !job.driven_here) return {};
  auto* const component = agent.components.find(kind);
  component::Carries* const carries = component == nullptr ? nullptr : component->carries();
  if (carries == nullptr) {
    return [name = agent.cluster](const std::string&, bool,
                                  const std::stop_token&) -> Result<component::Carried> {
      return component::Carried{
          false,
          "The stream carried the content: lockstep.yaml does not say how an engine runs in " +
              name + " (`distcp` of `hdfs:`, `exportsnapshot` of `hbase:`).",
          {}};
    };
  }
  return [&job, &board, engine, carries, deadline = agent.clock.utc() + job.deadline](
             const std::string& to, bool whole, std::stop_token stop) {
    const component::Haul haul = haul_of(job, to, whole);
    const std::string& set = haul.version.id.set;
    component::Context context;
    context.run = job.run;
    context.attempt = job.attempt;
    context.stop = std::move(stop);
    context.deadline = deadline;
    context.progress = [&](std::uint64_t entries, std::uint64_t bytes) {
      board.put(set, shown({entries, bytes}));
    };
    auto carried = carries->carry(context, haul, engine == Engine::at_will);
    if (carried) spdlog::info("{} of run {}: {}", set, job.run, carried->how);
    return carried;
  };
}

void call_off_engines(const Agent& agent, const std::string& service, const std::string& run,
                      const message::Body& sets) {
  for (const auto& set : sets) {
    for (const char* end : {"from", "to"}) {
      if (set.at(end).at("cluster") != agent.cluster) continue;
      auto* const component = agent.components.find(set.at(end).at("component").get<std::string>());
      if (component == nullptr || component->carries() == nullptr) continue;
      component::Context context;
      context.run = run;
      const component::SetId id{service, set.at("name").get<std::string>()};
      if (auto done = component->carries()->call_off(context, id); !done) {
        spdlog::warn("{} of run {}, which is dropped: {}", id.set, run, done.error().text());
      }
    }
  }
}

}  // namespace lockstep::transfer
