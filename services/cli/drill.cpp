// lockstep drill: a recovery point is brought up and checked, as a disaster would ask for it.
#include <fmt/format.h>

#include <memory>

#include "common/message/bytes.hpp"
#include "common/message/uuid.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

struct Drill {
  std::string service;
  std::string check;
  std::string point;
  std::string timeout = "1h";
};

// Of the registrars that answer, the one that has the service's newest good point.
Result<Body> newest_point(const Session& session, const std::string& service) {
  LOCKSTEP_TRY(const Body done, session.call("scheduler", "point.catalog", {{"service", service}}));
  for (const auto& point : done.at("points")) {
    if (point.value("verified_ok", true)) return point;
  }
  return make_error(ErrorCode::point_missing, "the service has no recovery point", service);
}

void print_drill(const Body& drill) {
  const bool good = field(drill, "outcome") == "good";
  print(fmt::format("{} {} of {}: {}; brought up in {}{}",
                    short_instant(field(drill, "started_at")), field(drill, "service"),
                    short_instant(field(drill, "moment")),
                    paint(good ? Colour::good : Colour::bad, field(drill, "outcome")),
                    span_text(drill.value("recovery_ns", std::int64_t{0})),
                    drill.contains("check_ns")
                        ? ", checked in " + span_text(drill.value("check_ns", std::int64_t{0}))
                        : ""));
}

Result<int> list_drills(const Options& options, const Session& session, const Drill& wish) {
  Body all = Body::array();
  for (const std::string& registrar : session.registrars()) {
    const auto done = session.call(registrar, "drill.list", {{"service", wish.service}});
    if (!done) {
      print_notice(done.error().text());
      continue;
    }
    for (const auto& drill : done->at("drills")) all.push_back(drill);
  }
  if (options.json) {
    print_json(all);
    return 0;
  }
  for (const auto& drill : all) print_drill(drill);
  if (all.empty()) print("no drill yet: lockstep drill " + wish.service + " --check CMD");
  return 0;
}

Result<int> run_drill(const Options& options, const Drill& wish) {
  LOCKSTEP_CHECK(check_name(wish.service));
  if (!wish.point.empty()) LOCKSTEP_CHECK(check_id(wish.point));
  LOCKSTEP_TRY(const Nanos timeout, parse_duration(wish.timeout));
  LOCKSTEP_TRY(const Session session, Session::open(options));
  if (wish.check.empty()) return list_drills(options, session, wish);
  std::string point = wish.point;
  if (point.empty()) {
    LOCKSTEP_TRY(const Body newest, newest_point(session, wish.service));
    point = field(newest, "id");
  }
  Progress progress{"bringing up", options.json};
  auto done = session.call_registrar(
      "point.drill",
      {{"id", point},
       {"drill", message::make_uuid7(session.clock().utc())},
       {"check", {"/bin/sh", "-c", message::text_or_bytes(wish.check)}},
       {"timeout_ns", timeout.count}},
      Patience::long_, [&](const transport::Reply& reply) { progress.show(reply.body); });
  progress.finish();
  if (!done) return done.error();
  const bool good = field(*done, "outcome") == "good";
  if (options.json) {
    print_json(*done);
  } else {
    print_drill(*done);
    if (done->contains("said")) print(text_of(done->at("said")));
  }
  return good ? 0 : 1;
}

}  // namespace

void add_drill(Registry& registry) {
  auto wish = std::make_shared<Drill>();
  CLI::App* command = registry.command(
      "drill", "Bring a point up beside the live data and check it; without --check: past drills",
      "lockstep drill orders --check 'sqlite3 ledger \"PRAGMA integrity_check\"'");
  command->add_option("SERVICE", wish->service, "The service")->required();
  command->add_option("--check", wish->check,
                      "A shell command, run on the host that keeps the point, in a directory that "
                      "holds each data set by its name");
  command->add_option("--point", wish->point, "This point instead of the service's newest");
  command->add_option("--timeout", wish->timeout, "The longest time the check may take")
      ->capture_default_str();
  registry.takes_json(command);
  registry.on(command, [&registry, wish] { return run_drill(registry.options(), *wish); });
}

}  // namespace lockstep::cli
