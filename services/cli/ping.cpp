// lockstep ping.
#include <fmt/format.h>

#include <memory>

#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

Result<int> run_ping(const Options& options, const std::string& service) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  const auto* party = session.directory().find(service);
  if (party == nullptr || party->endpoint.empty()) {
    return make_error(ErrorCode::not_found, "no service of this site is named", service);
  }
  LOCKSTEP_TRY(const Body answer, session.call(service, "ping", Body::object()));
  if (options.json) {
    print_json(answer);
  } else {
    print(fmt::format("{} answers: version {}, since {}, identity epoch {}", service,
                      field(answer, "version"), short_instant(field(answer, "started_at")),
                      answer.at("epoch").at("number").dump()));
  }
  return 0;
}

}  // namespace

void add_ping(Registry& registry) {
  auto service = std::make_shared<std::string>();
  CLI::App* command =
      registry.command("ping", "Ask one service whether it is there", "lockstep ping scheduler");
  command->add_option("SERVICE", *service, "Its name in lockstep.yaml")->required();
  registry.takes_json(command);
  registry.on(command, [&registry, service] { return run_ping(registry.options(), *service); });
}

}  // namespace lockstep::cli
