// lockstep policy apply|check|list|show|remove|pause|resume.
#include <fmt/format.h>

#include <memory>

#include "common/config/files.hpp"
#include "common/message/bytes.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

void print_findings(const Body& findings) {
  for (const auto& finding : findings) {
    const bool warning = finding.value("warning", false);
    std::string line = warning ? paint(Colour::warn, "warning", 2) : paint(Colour::bad, "error", 2);
    line += fmt::format(": {}: {}", field(finding, "where"), field(finding, "what"));
    if (const auto hint = field(finding, "hint"); !hint.empty()) line += "\n  hint: " + hint;
    print_notice(line);
  }
}

Result<int> send_policy(const Options& options, const std::string& file, bool dry_run) {
  LOCKSTEP_TRY(const auto loaded, config::load_file(file));
  if (!message::is_utf8(loaded.text)) {
    return make_error(ErrorCode::config_syntax, "the file is not UTF-8 text", file);
  }
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const Body done, session.call("policy", "policy.apply",
                                             {{"yaml", loaded.text},
                                              {"file", message::text_or_bytes(file)},
                                              {"dry_run", dry_run}}));
  const auto& findings = done.at("findings");
  bool refused = false;
  for (const auto& finding : findings) refused = refused || !finding.value("warning", false);
  if (options.json) {
    print_json(done);
  } else {
    print_findings(findings);
    if (!refused) {
      const std::string service = field(done, "service");
      if (dry_run) {
        print(fmt::format("{} may be applied", service));
      } else if (done.value("changed", false)) {
        print(fmt::format("{}: version {} applies", service, done.value("version", 0)));
      } else {
        print(fmt::format("{}: nothing changed, version {} applies", service,
                          done.value("version", 0)));
      }
    }
  }
  return refused ? error_info(ErrorCode::policy_invalid).exit_status : 0;
}

Result<int> list(const Options& options) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const Body done, session.call("policy", "policy.list", Body::object()));
  const auto& policies = done.at("policies");
  if (options.json) {
    print_json(policies);
    return 0;
  }
  Table table{{"SERVICE", "VERSION", "STATE", "APPLIED"}};
  for (const auto& policy : policies) {
    table.row({field(policy, "service"), field(policy, "version"),
               policy.value("paused", false) ? paint(Colour::warn, "paused") : "active",
               short_instant(field(policy, "applied_at"))});
  }
  print(table.empty() ? "no policies yet: lockstep policy apply FILE" : table.text());
  return 0;
}

Result<int> show(const Options& options, const std::string& service) {
  LOCKSTEP_CHECK(check_name(service));
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const Body done, session.call("policy", "policy.show", {{"service", service}}));
  if (options.json) {
    print_json(done);
    return 0;
  }
  print(fmt::format("# version {}, applied {}{}", done.value("version", 0),
                    field(done, "applied_at"), done.value("paused", false) ? ", paused" : ""));
  std::string yaml = done.at("yaml").get<std::string>();
  while (yaml.ends_with('\n')) yaml.pop_back();
  print(safe_lines(yaml));
  return 0;
}

Result<int> simple(const Options& options, const std::string& type, const std::string& service,
                   const std::string& said) {
  LOCKSTEP_CHECK(check_name(service));
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const Body done, session.call("policy", type, {{"service", service}}));
  if (options.json) {
    print_json(done);
  } else {
    print(service + " " + said);
  }
  return 0;
}

}  // namespace

void add_policy(Registry& registry) {
  CLI::App* group = registry.group("policy", "What is backed up, when, and how long it is kept");
  struct Sending {
    const char* name;
    const char* description;
    bool dry_run;
  };
  for (const auto& sending : {Sending{"apply", "Put a policy into force", false},
                              Sending{"check", "Say what is wrong with a policy", true}}) {
    auto file = std::make_shared<std::string>();
    CLI::App* command =
        registry.command(sending.name, sending.description,
                         std::string{"lockstep policy "} + sending.name + " orders.yaml", group);
    command->add_option("FILE", *file, "The YAML document")->required();
    registry.takes_json(command);
    registry.on(command, [&registry, file, dry_run = sending.dry_run] {
      return send_policy(registry.options(), *file, dry_run);
    });
  }
  CLI::App* listing =
      registry.command("list", "Policies in force", "lockstep policy list --json", group);
  registry.takes_json(listing);
  registry.on(listing, [&registry] { return list(registry.options()); });

  auto shown = std::make_shared<std::string>();
  CLI::App* showing =
      registry.command("show", "A policy as it was applied", "lockstep policy show orders", group);
  showing->add_option("SERVICE", *shown)->required();
  registry.takes_json(showing);
  registry.on(showing, [&registry, shown] { return show(registry.options(), *shown); });

  struct Simple {
    const char* name;
    const char* description;
    const char* said;
  };
  for (const auto& one :
       {Simple{"remove", "Take a policy out of force; its recovery points stay", "is removed"},
        Simple{"pause", "Let no new run of the service begin", "is paused"},
        Simple{"resume", "Let the service's schedule go on", "goes on"}}) {
    auto service = std::make_shared<std::string>();
    const std::string name = one.name;
    CLI::App* command =
        registry.command(name, one.description, "lockstep policy " + name + " orders", group);
    command->add_option("SERVICE", *service)->required();
    registry.takes_json(command);
    registry.on(command, [&registry, service, name, said = std::string{one.said}] {
      return simple(registry.options(), "policy." + name, *service, said);
    });
  }
}

}  // namespace lockstep::cli
