// lockstep inject: plays scenarios of messages against a site that allows it.
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "common/config/files.hpp"
#include "services/cli/inject/player.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

struct Inject {
  std::vector<std::string> files;
  std::vector<std::string> values;
};

Result<inject::Values> values_of(const Inject& wish) {
  inject::Values out;
  for (const auto& text : wish.values) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return make_error(ErrorCode::usage, "expected NAME=VALUE after --set", text);
    }
    out.set(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

Body body_of(const std::string& file, const inject::Scenario& scenario,
             const inject::Outcome& outcome) {
  Body out{{"file", file},
           {"title", scenario.title},
           {"ok", outcome.good},
           {"steps", outcome.steps},
           {"messages", outcome.messages},
           {"broken",
            {{"sent", outcome.broken},
             {"refused", outcome.refused},
             {"unanswerable", outcome.unanswerable}}}};
  if (!outcome.good) out["failed"] = {{"where", outcome.where}, {"why", outcome.why}};
  return out;
}

void print_outcome(const inject::Scenario& scenario, const inject::Outcome& outcome) {
  print(fmt::format(
      "{}: {}", scenario.title,
      outcome.good ? paint(Colour::good, "as told") : paint(Colour::bad, "NOT as told")));
  if (outcome.broken > 0) {
    print(
        fmt::format("  {} broken messages: {} refused with the field's path, {} without an id to "
                    "answer by",
                    outcome.broken, outcome.refused, outcome.unanswerable));
  }
  if (!outcome.good) print(fmt::format("  {}: {}", safe(outcome.where), safe(outcome.why)));
}

Result<int> run_inject(const Options& options, const Inject& wish) {
  LOCKSTEP_TRY(const std::string file, config_file(options));
  LOCKSTEP_TRY(const auto site, config::load_site(file));
  if (!site.injection.allowed) {
    return make_error(ErrorCode::guard, "this site does not allow injection", file,
                      "on a site made for tests write `injection: {allow: true}`");
  }
  if (options.as.empty() && site.users.empty()) {
    return make_error(ErrorCode::usage, "the site names no user", file, "name one with --as");
  }
  LOCKSTEP_TRY(const auto values, values_of(wish));
  // All are read before the first is played.
  std::vector<inject::Scenario> scenarios;
  for (const auto& name : wish.files) {
    LOCKSTEP_TRY(const auto loaded, config::load_file(name));
    LOCKSTEP_TRY(auto scenario, inject::parse_scenario(loaded.text, name));
    scenarios.push_back(std::move(scenario));
  }
  const auto clock = make_system_clock();
  const std::string user = options.as.empty() ? site.users.front() : options.as;
  bool good = true;
  Body list = Body::array();
  for (std::size_t i = 0; i < scenarios.size(); ++i) {
    const auto say = [&](const std::string& line) {
      if (!options.json) print_notice("  " + safe(line));
    };
    LOCKSTEP_TRY(const auto outcome, inject::play(site, *clock, user, scenarios[i], values, say));
    good = good && outcome.good;
    list.push_back(body_of(wish.files[i], scenarios[i], outcome));
    if (!options.json) print_outcome(scenarios[i], outcome);
  }
  if (options.json) print_json(list);
  return good ? 0 : 1;
}

}  // namespace

void add_inject(Registry& registry) {
  auto wish = std::make_shared<Inject>();
  CLI::App* command =
      registry.command("inject", "Send scripted messages to a site made for tests",
                       "lockstep inject tests/scenarios/old-epoch.yaml -c lockstep.yaml");
  command->add_option("SCENARIO", wish->files, "What is played, one after the other")
      ->required()
      ->type_name("FILE");
  command->add_option("--set", wish->values, "A value that the scenarios name as ${NAME}")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->take_all();
  registry.takes_json(command);
  registry.on(command, [&registry, wish] { return run_inject(registry.options(), *wish); });
}

}  // namespace lockstep::cli
