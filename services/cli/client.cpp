// lockstep client: which cluster applications are to use.
#include <fmt/format.h>

#include "services/cli/client_text.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

std::string painted(const std::string& health) {
  if (health == "healthy") return paint(Colour::good, health);
  return paint(health == "degraded" ? Colour::warn : Colour::bad, health);
}

void print_prompt(const Body& prompt) {
  print(paint(
      Colour::bad,
      fmt::format("\n{} is {} since {}: {}", field(prompt, "cluster"), field(prompt, "health"),
                  short_instant(field(prompt, "since")), text_of(prompt.at("reason")))));
  if (prompt.contains("last_healthy")) {
    print("  last seen healthy: " + short_instant(field(prompt, "last_healthy")));
  }
  for (const auto& service : prompt.at("services")) {
    const std::string moment = field(service, "moment");
    print(moment.empty()
              ? fmt::format("  {}: no point; all of it would be lost", field(service, "service"))
              : fmt::format("  {}: what was written between {} and {} would be lost (point {})",
                            field(service, "service"), short_instant(moment),
                            short_instant(field(prompt, "since")), field(service, "point")));
  }
  print("  to take over: " + field(prompt, "command"));
}

struct Client {
  bool wait = false;
};

Result<int> run_client(const Options& options, const Client& client) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(Body shown, session.call("health-monitor", "client.show", Body::object()));
  if (client.wait) {
    LOCKSTEP_TRY(shown, session.call("health-monitor", "client.show",
                                     {{"unless", shown.at("application")}}, Patience::long_));
  }
  if (options.json) {
    print_json(shown);
  } else {
    print_client(shown);
  }
  return 0;
}

}  // namespace

void print_client(const Body& body) {
  const std::string application = field(body, "application");
  print("applications are to use: " +
        (application.empty() ? paint(Colour::bad, "none") : paint(Colour::bold, application)));
  if (body.value("two_primaries", false)) {
    print(paint(Colour::bad, "both clusters claim to be the primary"));
  }
  for (const auto& clash : body.at("clashes")) {
    print(
        paint(Colour::bad,
              fmt::format("two promotions were forced under identity epoch {}; promote the cluster "
                          "that is to be the primary",
                          clash.value("number", 0))));
  }
  Table table{{"CLUSTER", "IDENTITY", "EPOCH", "HEALTH", "SINCE", "WHY"}};
  for (const auto& cluster : body.at("clusters")) {
    table.row({field(cluster, "name"), field(cluster, "identity"),
               std::to_string(cluster.value("epoch", 0)), painted(field(cluster, "health")),
               short_instant(field(cluster, "since")), text_of(cluster.at("reason"))});
  }
  print(table.text());
  if (!body.at("prompt").is_null()) print_prompt(body.at("prompt"));
}

void add_client(Registry& registry) {
  auto client = std::make_shared<Client>();
  CLI::App* command = registry.command("client", "Which cluster applications are to use, and why",
                                       "lockstep client --wait-change -c lockstep.yaml");
  command->add_flag("--wait-change", client->wait, "Return when it is another one than now");
  registry.takes_json(command);
  registry.on(command, [&registry, client] { return run_client(registry.options(), *client); });
}

}  // namespace lockstep::cli
