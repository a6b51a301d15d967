// lockstep audit, lockstep log-level.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "common/os/whole_file.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

constexpr std::uint64_t kLargest = std::uint64_t{1} << 30;

// The lines of one service's file. A last line that a power loss cut short is left out.
Result<void> read_lines(os::Disk& disk, const std::string& directory, const std::string& name,
                        std::vector<Body>& out) {
  LOCKSTEP_TRY(const std::string text, os::read_file(disk, directory + "/" + name, kLargest));
  std::size_t start = 0;
  for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', start)) {
    Body row = Body::parse(text.substr(start, end - start), nullptr, false);
    if (row.is_object()) {
      row["service"] = name.substr(0, name.size() - std::string(".jsonl").size());
      out.push_back(std::move(row));
    }
    start = end + 1;
  }
  return {};
}

Result<int> run_audit(const Options& options) {
  LOCKSTEP_TRY(const std::string file, config_file(options));
  LOCKSTEP_TRY(const auto site, config::load_site(file));
  const auto disk = os::make_kernel_disk();
  const std::string directory = site.state + "/audit";
  LOCKSTEP_TRY(const auto names, os::names_in(*disk, directory));
  std::vector<Body> rows;
  for (const auto& name : names) {
    if (name.ends_with(".jsonl")) LOCKSTEP_CHECK(read_lines(*disk, directory, name, rows));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Body& a, const Body& b) {
    return field(a, "time") < field(b, "time");
  });
  if (options.json) {
    print_json(Body(rows));
    return 0;
  }
  Table table{{"TIME", "BY", "SERVICE", "COMMAND", ""}};
  for (const auto& row : rows) {
    table.row({short_instant(field(row, "time")), field(row, "by"), field(row, "service"),
               field(row, "type"), safe(row.value("body", Body::object()).dump())});
  }
  print(table.empty() ? "no command was noted on this host" : table.text());
  return 0;
}

struct Level {
  std::string service;
  std::string level;
};

Result<int> run_level(const Options& options, const Level& wish) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const Body answer, session.call(wish.service, "log.level", {{"level", wish.level}}));
  if (options.json) {
    print_json(answer);
  } else {
    print(fmt::format("{} logs at {} until it ends; it was {}", wish.service, wish.level,
                      field(answer, "before")));
  }
  return 0;
}

}  // namespace

void add_audit(Registry& registry) {
  CLI::App* audit = registry.command("audit", "Who asked this host's services to change what",
                                     "lockstep audit --json -c lockstep.yaml");
  registry.takes_json(audit);
  registry.on(audit, [&registry] { return run_audit(registry.options()); });

  auto wish = std::make_shared<Level>();
  CLI::App* level = registry.command("log-level", "How much a service logs, while it runs",
                                     "lockstep log-level scheduler debug -c lockstep.yaml");
  level->add_option("SERVICE", wish->service, "Its name in lockstep.yaml")->required();
  level->add_option("LEVEL", wish->level, "trace, debug, info, warning or error")
      ->required()
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error"}));
  registry.takes_json(level);
  registry.on(level, [&registry, wish] { return run_level(registry.options(), *wish); });
}

}  // namespace lockstep::cli
