// lockstep explain: what happened in a run, or how a point came to be.
#include <fmt/format.h>

#include <memory>

#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/run_text.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

std::string interval_text(const Body& interval) {
  return field(interval, "requested") + " .. " + field(interval, "acknowledged");
}

// What the pin's interval means for its content.
std::string interval_means(const Body& set) {
  if (set.value("one_instant", false)) return ", one instant";
  if (set.value("quiet", false)) return ", proven unchanged since before it was requested";
  if (const auto fence = set.find("fence"); fence != set.end() && fence->is_object())
    return ", over a time in which its writers were held";
  return ", over a time: not all of it shows the same instant";
}

std::string set_story(const Body& set) {
  const auto& from = set.at("from");
  const auto& to = set.at("to");
  std::string out = fmt::format(
      "  {} ({}, by {})\n    from    {}:{}\n    to      {}:{}\n    pinned  {}\n            by "
      "{}{}{}",
      paint(Colour::bold, field(set, "name")), field(from, "component"), field(set, "agent"),
      field(from, "cluster"), field(from, "location"), field(to, "cluster"), field(to, "location"),
      interval_text(set.at("pinned")), field(set, "method"), interval_means(set),
      set.value("durable", false) ? "" : ", copied out by the agent");
  if (const auto fence = set.find("fence"); fence != set.end() && fence->is_object()) {
    out += fmt::format(
        "\n    fence   {}: raised {}\n            lowered {}, {}", field(*fence, "kind"),
        interval_text(fence->at("raised")), interval_text(fence->at("lowered")),
        fence->value("held", false) ? "held without a break" : paint(Colour::bad, "broken"));
  } else {
    out += "\n    fence   none";
  }
  out += fmt::format("\n    moved   {} of {} in {} entries{}{}",
                     size_text(set.value("bytes_sent", std::uint64_t{0})),
                     size_text(set.value("bytes", std::uint64_t{0})), field(set, "entries"),
                     set.at("base").is_null() ? "" : ", on the base " + field(set, "base"),
                     set.value("bytes_resent", std::uint64_t{0}) == 0
                         ? ""
                         : ", " + size_text(set.value("bytes_resent", std::uint64_t{0})) +
                               " of it again after an interruption");
  for (const auto& caveat : set.at("caveats")) {
    out += "\n    caveat  " + paint(Colour::warn, text_of(caveat));
  }
  return out;
}

std::string point_story(const Body& record) {
  const auto& certificate = record.at("certificate");
  std::string out = fmt::format(
      "recovery point {} of {}, moment {}\n  {}: {}\n  not promised: {}\n  skew {} (at most {} "
      "allowed), lateness {}; policy version {}, identity epoch {}; made by {}",
      field(record, "id"), field(record, "service"), field(record, "moment"),
      field(certificate, "consistency"), field(certificate, "promises"),
      field(certificate, "does_not_promise"),
      span_text(certificate.value("skew_ns", std::int64_t{0})),
      span_text(certificate.value("max_skew_ns", std::int64_t{0})),
      span_text(certificate.value("lateness_ns", std::int64_t{0})),
      field(certificate, "policy_version"), field(certificate.at("epoch"), "number"),
      field(certificate, "program"));
  for (const auto& set : certificate.at("sets")) out += "\n" + set_story(set);
  return out;
}

// The run's steps from the scheduler, the point's certificate from a registrar: whichever there is.
Result<int> explain(const Options& options, const std::string& id) {
  LOCKSTEP_CHECK(check_id(id));
  LOCKSTEP_TRY(const Session session, Session::open(options));
  auto run = session.call("scheduler", "run.show", {{"run", id}});
  auto point = session.call_registrar("point.read", {{"id", id}});
  if (!run && !point) {
    // A service that is not there says more than one that does not know the id.
    const bool reached = error_info(point.error().code).exit_status != 4;
    return reached ? run.error() : point.error();
  }
  if (options.json) {
    print_json(
        {{"run", run ? run->at("run") : Body()}, {"record", point ? point->at("record") : Body()}});
    return 0;
  }
  if (run) print(run_text(run->at("run")));
  if (run && point) print("");
  if (point) print(point_story(point->at("record")));
  return 0;
}

}  // namespace

void add_explain(Registry& registry) {
  auto id = std::make_shared<std::string>();
  CLI::App* command = registry.command(
      "explain", "What happened in a run, and how its point came to be", "lockstep explain ID");
  command->add_option("ID", *id, "The id of a run or a point")->required();
  registry.takes_json(command);
  registry.on(command, [&registry, id] { return explain(registry.options(), *id); });
}

}  // namespace lockstep::cli
