// lockstep prune, lockstep holds: what is kept, and why.
#include <fmt/format.h>

#include <memory>

#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

struct Prune {
  std::string service;
  bool dry_run = false;
};

Result<int> prune(const Options& options, const Prune& wish) {
  if (!wish.service.empty()) LOCKSTEP_CHECK(check_name(wish.service));
  LOCKSTEP_TRY(const Session session, Session::open(options));
  Body body{{"dry_run", wish.dry_run}};
  if (!wish.service.empty()) body["service"] = wish.service;
  LOCKSTEP_TRY(const Body done,
               session.call("scheduler", "prune", std::move(body), Patience::long_));
  if (options.json) {
    print_json(done);
    return 0;
  }
  Table table{{"", "POINT", "SERVICE", "MOMENT", "WHY"}};
  for (const auto& point : done.at("delete")) {
    table.row({paint(Colour::warn, wish.dry_run ? "would go" : "gone"), field(point, "id"),
               field(point, "service"), short_instant(field(point, "moment")),
               field(point, "why")});
  }
  for (const auto& point : done.at("keep")) {
    std::string why;
    for (const auto& reason : point.at("why")) why += (why.empty() ? "" : ", ") + text_of(reason);
    table.row({paint(Colour::good, "stays"), field(point, "id"), field(point, "service"),
               short_instant(field(point, "moment")), why});
  }
  print(table.empty() ? "no recovery points" : table.text());
  return 0;
}

// Of every snapshot-agent; one that cannot be reached is an error, for its holds are unknown.
Result<int> holds(const Options& options) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  Body all = Body::array();
  for (const auto& [cluster_name, cluster] : session.site().clusters) {
    for (const auto& agent : cluster.agents) {
      if (agent.role != transport::Role::snapshot_agent) continue;
      LOCKSTEP_TRY(Body done, session.call(agent.name, "snapshot.holds", Body::object()));
      for (auto& hold : done.at("holds")) {
        hold["agent"] = agent.name;
        hold["cluster"] = cluster_name;
        all.push_back(std::move(hold));
      }
    }
  }
  if (options.json) {
    print_json(all);
    return 0;
  }
  Table table{{"CLUSTER", "AGENT", "SERVICE", "SET", "REASON", "RUN", "SINCE"}};
  for (const auto& hold : all) {
    table.row({field(hold, "cluster"), field(hold, "agent"), field(hold, "service"),
               field(hold, "set"), field(hold, "reason"), field(hold, "run"),
               short_instant(field(hold, "since"))});
  }
  print(table.empty() ? "no holds: no agent keeps a snapshot" : table.text());
  return 0;
}

}  // namespace

void add_keeping(Registry& registry) {
  auto wish = std::make_shared<Prune>();
  CLI::App* pruning = registry.command("prune", "Delete the points that no retention rule wants",
                                       "lockstep prune orders --dry-run");
  pruning->add_option("SERVICE", wish->service, "Only of this service");
  pruning->add_flag("--dry-run", wish->dry_run, "Only say what would go, and why the others stay");
  registry.takes_json(pruning);
  registry.on(pruning, [&registry, wish] { return prune(registry.options(), *wish); });

  CLI::App* holding = registry.command("holds", "Why each snapshot on the clusters exists",
                                       "lockstep holds --json");
  registry.takes_json(holding);
  registry.on(holding, [&registry] { return holds(registry.options()); });
}

}  // namespace lockstep::cli
