// lockstep promote, failback, switchover: make the secondary cluster the primary.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

struct Promote {
  std::string how = "promotion";
  std::string cluster;  // empty: the one that is not the primary
  bool stopped = false;
  std::vector<std::string> points;
  bool dry_run = false;
  bool yes = false;
  bool force_alone = false;
};

Result<std::string> secondary_of(const Session& session) {
  LOCKSTEP_TRY(const Body shown, session.call("health-monitor", "client.show", Body::object()));
  for (const auto& [name, cluster] : session.site().clusters) {
    if (!shown.at("decided").is_null() && shown.at("decided").at("primary") != name) return name;
  }
  return make_error(ErrorCode::unreachable, "the control device does not know the identity epoch");
}

Result<Body> request_of(const Promote& promote) {
  LOCKSTEP_CHECK(check_name(promote.cluster));
  Body points = Body::object();
  for (const auto& point : promote.points) {
    const auto equals = point.find('=');
    if (equals == std::string::npos) {
      return make_error(ErrorCode::usage, "expected SERVICE=ID", point);
    }
    LOCKSTEP_CHECK(check_name(point.substr(0, equals)));
    LOCKSTEP_CHECK(check_id(point.substr(equals + 1)));
    points[point.substr(0, equals)] = point.substr(equals + 1);
  }
  return Body{
      {"cluster", promote.cluster},  {"how", promote.how}, {"stopped", promote.stopped},
      {"points", std::move(points)}, {"dry_run", true},    {"force_alone", promote.force_alone}};
}

void print_plan(const Body& plan) {
  const Body& decision = plan.at("decision");
  print(fmt::format("{} becomes the primary instead of {}, under identity epoch {}{}",
                    field(decision, "primary"), field(plan, "old"), decision.value("number", 0),
                    decision.value("alone", false)
                        ? paint(Colour::bad, ", by your word alone: the other sites are not asked")
                        : ""));
  const bool planned = field(plan, "how") != "promotion";
  for (const auto& service : plan.at("services")) {
    if (planned) {
      print(fmt::format("  {}: backed up while it goes on, then once more with its writers stopped",
                        field(service, "service")));
    } else if (service.contains("point")) {
      print(fmt::format("  {}: point {} of {}; what was written later is not in it",
                        field(service, "service"), field(service, "point"),
                        short_instant(field(service, "moment"))));
    } else {
      print(paint(Colour::warn, fmt::format("  {}: there is no point; nothing of it becomes live",
                                            field(service, "service"))));
    }
  }
}

// How far the directory of the one that takes over follows the other's; no part of the plan, for
// users are applied by a job of their own.
void print_users(const Session& session, const Body& plan) {
  if (!session.site().has_directories()) return;
  const std::string to = field(plan.at("decision"), "primary");
  const std::string from = field(plan, "old");
  const auto status = session.call("scheduler", "status", Body::object());
  const bool told = status && status->contains("users");
  const std::string good = told ? field(status->at("users"), "good_at") : std::string{};
  std::string line;
  if (!status) {
    line =
        fmt::format("how old those of {} are is not known, for the scheduler does not answer", to);
  } else if (good.empty()) {
    line = fmt::format("the directory of {} was never made like that of {}", to, from);
  } else {
    line = fmt::format("the directory of {} was last made like that of {} at {}", to, from,
                       short_instant(good));
  }
  if (field(plan, "how") != "promotion") {
    line += "; it is once more before the decision";
  } else {
    line += "; those of a point: lockstep users apply --point ID";
  }
  const bool doubtful = good.empty() || (told && status->at("users").contains("error"));
  print(doubtful ? paint(Colour::warn, "  users: " + line) : "  users: " + line);
}

void print_divergent(const Body& divergent) {
  for (const auto& service : divergent) {
    for (const auto& set : service.at("sets")) {
      print(fmt::format("  {} {}: {} written and {} removed there that no point has; kept at {}",
                        field(service, "service"), field(set, "name"), field(set, "written"),
                        field(set, "removed"),
                        set.contains("path") ? text_of(set.at("path")) : field(service, "run")));
      constexpr std::size_t kShown = 20;
      const auto& entries = set.at("entries");
      for (std::size_t i = 0; i < std::min(kShown, entries.size()); ++i) {
        const std::string path = text_of(entries[i].at("path"));
        print(fmt::format("    {} {}", field(entries[i], "what"), path.empty() ? "." : path));
      }
      if (entries.size() > kShown) print("    ... (--json has more)");
    }
  }
}

void print_done(const Body& done) {
  for (const auto& service : done.at("services")) {
    if (!service.contains("sets")) continue;
    for (const auto& set : service.at("sets")) {
      print(fmt::format("  {} {}: live at {}{}", field(service, "service"), field(set, "name"),
                        text_of(set.at("path")),
                        set.contains("moved_aside")
                            ? "; what was there is at " + text_of(set.at("moved_aside"))
                            : ""));
    }
  }
  print_divergent(done.at("divergent"));
  if (!done.at("runs").empty()) print(fmt::format("  {} runs stood down", done.at("runs").size()));
  const bool confirmed = field(done, "old_primary") == "confirmed";
  print(fmt::format("{} is the primary; {} is {} stopped ({})",
                    paint(Colour::good, field(done.at("decision"), "primary")), field(done, "old"),
                    confirmed ? "confirmed" : paint(Colour::warn, "unconfirmed to be"),
                    field(done, "isolation")));
  if (!confirmed) {
    print("  its application may go on writing there; those writes never enter a recovery point");
  }
  print("  the application there: " + field(done, "started"));
}

Result<int> run_promote(const Options& options, Promote promote) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  if (promote.cluster.empty()) {
    LOCKSTEP_TRY(promote.cluster, secondary_of(session));
  }
  LOCKSTEP_TRY(Body request, request_of(promote));
  LOCKSTEP_TRY(const Body plan, session.call("health-monitor", "promote", request));
  if (promote.dry_run) {
    if (options.json) {
      print_json(plan);
    } else {
      print_plan(plan);
      print_users(session, plan);
      print("nothing was done");
    }
    return 0;
  }
  if (!options.json) {
    print_plan(plan);
    print_users(session, plan);
  }
  if (!promote.yes) {
    if (!is_terminal(0)) {
      return make_error(ErrorCode::guard, "a " + promote.how + " has to be confirmed",
                        promote.cluster, "add --yes");
    }
    print(fmt::format("type `{}` to go on", promote.cluster));
    std::string answer;
    std::getline(std::cin, answer);
    if (answer != promote.cluster) {
      return make_error(ErrorCode::guard, "not confirmed; nothing was done", promote.cluster);
    }
  }
  request["dry_run"] = false;
  LOCKSTEP_TRY(const Body done, session.call("health-monitor", "promote", request, Patience::long_,
                                             [&options](const transport::Reply& reply) {
                                               if (options.json || !reply.body.contains("stage"))
                                                 return;
                                               print_notice("  " + field(reply.body, "stage"));
                                             }));
  if (options.json) {
    print_json(done);
  } else {
    print_done(done);
  }
  return 0;
}

}  // namespace

void add_promote(Registry& registry) {
  auto promote = std::make_shared<Promote>();
  CLI::App* command = registry.command("promote", "Make the secondary cluster the primary",
                                       "lockstep promote south -c lockstep.yaml");
  command->add_option("CLUSTER", promote->cluster, "The cluster that takes over")->required();
  command
      ->add_option("--point", promote->points,
                   "SERVICE=ID: this point instead of the service's newest")
      ->type_name("SERVICE=ID");
  command->add_flag("--dry-run", promote->dry_run, "Say what would be done");
  command->add_flag("--yes", promote->yes, "Do not ask");
  command->add_flag("--force-alone", promote->force_alone,
                    "Without the agreement of the other sites; recorded for ever");
  registry.takes_json(command);
  registry.on(command, [&registry, promote] { return run_promote(registry.options(), *promote); });
}

namespace {

void add_planned(Registry& registry, const char* how, const char* what) {
  auto promote = std::make_shared<Promote>();
  promote->how = how;
  CLI::App* command =
      registry.command(how, what, std::string("lockstep ") + how + " -c lockstep.yaml");
  command->add_option("CLUSTER", promote->cluster,
                      "The cluster that takes over; the one that is not the primary");
  command->add_flag("--stopped", promote->stopped,
                    "Your word that the application is stopped in both clusters");
  command->add_flag("--dry-run", promote->dry_run, "Say what would be done");
  command->add_flag("--yes", promote->yes, "Do not ask");
  registry.takes_json(command);
  registry.on(command, [&registry, promote] { return run_promote(registry.options(), *promote); });
}

}  // namespace

void add_way_back(Registry& registry) {
  add_planned(registry, "failback",
              "Give the roles back after a promotion; what diverged is kept aside");
  add_planned(registry, "switchover", "Exchange the roles as planned, without loss");
}

}  // namespace lockstep::cli
