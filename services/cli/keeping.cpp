// lockstep prune, lockstep holds: what is kept, and why.
#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <set>
#include <string>

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

struct Holds {
  std::string end;  // a run; empty: only listed
  bool yes = false;
};

// Of every snapshot-agent; one that cannot be reached is an error, for its holds are unknown.
Result<Body> all_holds(const Session& session) {
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
  return all;
}

void print_holds(const Body& all) {
  Table table{{"CLUSTER", "AGENT", "SERVICE", "SET", "REASON", "RUN", "SINCE"}};
  for (const auto& hold : all) {
    table.row({field(hold, "cluster"), field(hold, "agent"), field(hold, "service"),
               field(hold, "set"), field(hold, "reason"), field(hold, "run"),
               short_instant(field(hold, "since"))});
  }
  print(table.empty() ? "no holds: no agent keeps a snapshot" : table.text());
}

Result<int> holds(const Options& options) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const Body all, all_holds(session));
  if (options.json) {
    print_json(all);
  } else {
    print_holds(all);
  }
  return 0;
}

// Whether an agent knows the run as one that is over: the command is a repeat, whose first answer
// was lost with somebody's death.
Result<bool> ended_before(const Session& session, const std::string& run) {
  bool ended = false;
  for (const auto& [name, cluster] : session.site().clusters) {
    for (const auto& agent : cluster.agents) {
      if (agent.role != transport::Role::snapshot_agent) continue;
      const auto done = session.call(agent.name, "snapshot.release", {{"run", run}});
      const auto code = done ? ErrorCode::not_found : done.error().code;
      if (code != ErrorCode::not_found && code != ErrorCode::guard) return done.error();
      ended |= done.has_value();
    }
  }
  return ended;
}

// What the hold kept is gone for good afterwards, so it is shown and has to be confirmed.
Result<int> end_hold(const Options& options, const Holds& wish) {
  LOCKSTEP_CHECK(check_id(wish.end));
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const Body all, all_holds(session));
  Body ended = Body::array();
  for (const auto& hold : all) {
    if (field(hold, "run") != wish.end) continue;
    if (field(hold, "reason") != "divergent") {
      return make_error(ErrorCode::guard, "what is held for that run is no divergence", wish.end,
                        "holds of runs and bases end by themselves");
    }
    ended.push_back(hold);
  }
  if (ended.empty()) {
    LOCKSTEP_TRY(const bool before, ended_before(session, wish.end));
    if (!before) {
      return make_error(ErrorCode::not_found, "nothing is held for that run", wish.end,
                        "see `lockstep holds`");
    }
    if (options.json) {
      print_json(ended);
    } else {
      print("nothing is held for that run any more");
    }
    return 0;
  }
  if (!options.json) print_holds(ended);
  if (!wish.yes) {
    if (!is_terminal(0)) {
      return make_error(ErrorCode::guard, "what it keeps is gone for good: confirm it", wish.end,
                        "add --yes");
    }
    print("what these keep is gone for good; type `end` to go on");
    std::string answer;
    std::getline(std::cin, answer);
    if (answer != "end") {
      return make_error(ErrorCode::guard, "not confirmed; nothing was done", wish.end);
    }
  }
  std::set<std::string> agents;
  for (const auto& hold : ended) agents.insert(field(hold, "agent"));
  for (const std::string& agent : agents) {
    LOCKSTEP_CHECK(session.call(agent, "snapshot.release", {{"run", wish.end}}));
  }
  if (options.json) {
    print_json(ended);
  } else {
    print("ended");
  }
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
  auto kept = std::make_shared<Holds>();
  holding->add_option("--end", kept->end,
                      "End a `divergent` hold: what it keeps is removed for good");
  holding->add_flag("--yes", kept->yes, "Do not ask");
  registry.takes_json(holding);
  registry.on(holding, [&registry, kept] {
    return kept->end.empty() ? holds(registry.options()) : end_hold(registry.options(), *kept);
  });
}

}  // namespace lockstep::cli
