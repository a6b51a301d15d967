// lockstep recover: the control device was lost; what it knew is rebuilt from a cluster.
//
// Points and their records are the clusters' own; the catalog follows from them by itself, the
// identity is learned from the other two sites. What is left is the policies: each point's record
// holds the one that it was made by.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

Result<Body> recover_policies(const Session& session, const std::string& registrar,
                              const Body& points) {
  Body rows = Body::array();
  std::vector<std::string> seen;
  for (const auto& point : points) {  // newest first, of each service too
    const std::string service = field(point, "service");
    if (std::find(seen.begin(), seen.end(), service) != seen.end()) continue;
    seen.push_back(service);
    LOCKSTEP_TRY(const Body read,
                 session.call(registrar, "point.read", {{"id", field(point, "id")}}));
    const Body& record = read.at("record");
    Body row{{"service", service}, {"point", point.at("id")}, {"moment", point.at("moment")}};
    const auto done = session.call("policy", "policy.recover",
                                   {{"policy", record.at("policy")},
                                    {"version", record.at("policy_version")},
                                    {"point", point.at("id")}});
    if (done) {
      row["version"] = done->at("version");
      row["rebuilt"] = done->at("changed");
    } else {  // one that conflicts with another is no reason to leave the rest
      row["rebuilt"] = false;
      row["error"] = done.error().text();
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Result<int> run_recover(const Options& options, const std::string& from) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  const auto* registrar = session.site().registrar(from);
  if (registrar == nullptr) {
    return make_error(ErrorCode::not_found, "no cluster of this site is named", from);
  }
  LOCKSTEP_TRY(const Body listed, session.call(registrar->name, "point.list", Body::object()));
  LOCKSTEP_TRY(const Body policies,
               recover_policies(session, registrar->name, listed.at("points")));
  // The catalog asks every cluster that can be reached.
  LOCKSTEP_TRY(const Body catalog, session.call("scheduler", "point.catalog", Body::object()));
  LOCKSTEP_TRY(const Body identity,
               session.call("health-monitor", "identity.show", Body::object()));
  bool failed = false;
  for (const auto& row : policies) failed = failed || row.contains("error");
  const Body out{{"from", from},
                 {"policies", policies},
                 {"points", catalog.at("points").size()},
                 {"identity", identity.at("decided")}};
  if (options.json) {
    print_json(out);
    return failed ? 1 : 0;
  }
  for (const auto& row : policies) {
    print(row.contains("error")
              ? paint(Colour::bad,
                      fmt::format("policy {}: {}", field(row, "service"), field(row, "error")))
              : fmt::format("policy {}: version {}{}", field(row, "service"), field(row, "version"),
                            row.value("rebuilt", false)
                                ? ", as of the point of " + short_instant(field(row, "moment"))
                                : ", was there already"));
  }
  if (policies.empty()) print("there is no recovery point in " + from + ": no policy is known");
  print(fmt::format("points: {}", field(out, "points")));
  if (identity.at("decided").is_null()) {
    print(paint(Colour::warn,
                "identity: not known; it is learned as soon as both clusters answer. Where one is "
                "gone for good: lockstep promote " +
                    from + " --force-alone"));
  } else {
    print(fmt::format("identity: {} is the primary, epoch {}",
                      field(identity.at("decided"), "primary"),
                      field(identity.at("decided"), "number")));
  }
  print(
      "policies are as of the newest points; what was changed later is to be applied again, and "
      "pauses too");
  return failed ? 1 : 0;
}

}  // namespace

void add_recover(Registry& registry) {
  auto from = std::make_shared<std::string>();
  CLI::App* command =
      registry.command("recover", "Rebuild the control device's knowledge from a cluster",
                       "lockstep recover --from south -c lockstep.yaml");
  command->add_option("--from", *from, "The cluster that has the points")->required();
  registry.takes_json(command);
  registry.on(command, [&registry, from] { return run_recover(registry.options(), *from); });
}

}  // namespace lockstep::cli
