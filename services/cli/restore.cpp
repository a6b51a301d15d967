// lockstep verify, lockstep restore.
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "common/message/bytes.hpp"
#include "services/cli/files.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

struct Verify {
  std::string id;
  int sample = 100;
};

Result<int> verify(const Options& options, const Verify& wish) {
  LOCKSTEP_CHECK(check_id(wish.id));
  LOCKSTEP_TRY(const Session session, Session::open(options));
  Progress progress{"verifying", options.json};
  auto answer = session.call_registrar(
      "point.verify", {{"id", wish.id}, {"sample", wish.sample}}, Patience::long_,
      [&](const transport::Reply& reply) { progress.show(reply.body); });
  progress.finish();
  if (!answer) return answer.error();
  const bool ok = answer->at("ok").get<bool>();
  if (options.json) {
    print_json(*answer);
  } else {
    Table table{{"SET", "", "ENTRIES", "SIZE"}};
    for (const auto& set : answer->at("sets")) {
      table.row(
          {field(set, "name"),
           set.at("ok").get<bool>() ? paint(Colour::good, "ok") : paint(Colour::bad, "DAMAGED"),
           field(set, "entries"), size_text(set.value("bytes", std::uint64_t{0}))});
    }
    print(table.text());
    for (const auto& set : answer->at("sets")) {
      for (const auto& problem : set.at("problems")) {
        print(paint(Colour::bad, "  " + field(set, "name") + ": " + text_of(problem)));
      }
    }
    print(ok ? "the point is what its certificate says" : "the point is damaged");
  }
  return ok ? 0 : error_info(ErrorCode::point_damaged).exit_status;
}

struct Restore {
  std::string id;
  std::string to;
  std::vector<std::string> sets;
  std::string path;
  bool in_place = false;
  bool force = false;
};

Result<int> restore(const Options& options, const Restore& wish) {
  LOCKSTEP_CHECK(check_id(wish.id));
  if (wish.in_place == !wish.to.empty()) {
    return make_error(ErrorCode::usage, "say where: --to DIR, or --in-place");
  }
  if (!wish.path.empty() && wish.sets.size() != 1) {
    return make_error(ErrorCode::usage, "--path wants one data set", wish.path,
                      "name it with --set");
  }
  if (wish.in_place && !wish.force) {
    return make_error(ErrorCode::guard,
                      "restoring in place puts the point where the data sets' backups are kept to "
                      "live; what is there is moved aside",
                      wish.id, "repeat with --force when nothing writes there any more");
  }
  Body body{{"id", wish.id},
            {"in_place", wish.in_place},
            {"replace", wish.force},
            {"sets", wish.sets},
            {"path", message::text_or_bytes(wish.path)}};
  if (!wish.to.empty()) {
    LOCKSTEP_TRY(const std::string to, absolute(wish.to));
    body["to"] = message::text_or_bytes(to);
  }
  LOCKSTEP_TRY(const Session session, Session::open(options));
  Progress progress{"restoring", options.json};
  auto answer =
      session.call_registrar("point.restore", body, Patience::long_,
                             [&](const transport::Reply& reply) { progress.show(reply.body); });
  progress.finish();
  if (!answer) return answer.error();
  if (options.json) {
    print_json(*answer);
    return 0;
  }
  Table table{{"SET", "ENTRIES", "SIZE", "RESTORED TO"}};
  for (const auto& set : answer->at("sets")) {
    table.row({field(set, "name"), field(set, "entries"),
               size_text(set.value("bytes", std::uint64_t{0})), field(set, "path")});
  }
  print(table.text());
  for (const auto& set : answer->at("sets")) {
    if (const auto aside = field(set, "moved_aside"); !aside.empty()) {
      print(paint(Colour::warn, "  what was there of " + field(set, "name") + " lies at " + aside));
    }
  }
  return 0;
}

}  // namespace

void add_restore(Registry& registry) {
  auto check = std::make_shared<Verify>();
  CLI::App* verifying = registry.command(
      "verify", "Read a point again and hold it against its digests", "lockstep verify ID");
  verifying->add_option("ID", check->id, "The point's id")->required();
  verifying->add_option("--sample", check->sample, "Percent of the content that is read")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  registry.takes_json(verifying);
  registry.on(verifying, [&registry, check] { return verify(registry.options(), *check); });

  auto wish = std::make_shared<Restore>();
  CLI::App* restoring =
      registry.command("restore",
                       "Give a point back: each data set as DIR/<name>, on the host that "
                       "keeps it",
                       "lockstep restore ID --to /srv/restored --set invoices --path 2026/11");
  restoring->add_option("ID", wish->id, "The point's id")->required();
  restoring->add_option("--to", wish->to, "A directory")->type_name("DIR");
  restoring->add_flag("--in-place", wish->in_place,
                      "Where the policy puts the data sets on that cluster");
  restoring->add_flag("--force", wish->force, "Move aside what is there");
  restoring->add_option("--set", wish->sets, "Only this data set (may be repeated)")
      ->type_name("NAME");
  restoring->add_option("--path", wish->path, "Only this path of the data set, and what it holds");
  registry.takes_json(restoring);
  registry.on(restoring, [&registry, wish] { return restore(registry.options(), *wish); });
}

}  // namespace lockstep::cli
