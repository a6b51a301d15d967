// lockstep status.
#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>

#include "services/cli/client_text.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

std::string newest_of(const Body& service) {
  const auto point = service.find("newest_point");
  if (point == service.end()) return paint(Colour::warn, "none");
  return short_instant(field(*point, "moment"));
}

std::string rpo_of(const Body& service) {
  const auto rpo = service.value("rpo_ns", std::int64_t{0});
  if (rpo == 0) return paint(Colour::dim, "not stated");
  const bool met = service.value("rpo_met", false);
  return span_text(rpo) + (met ? paint(Colour::good, " met") : paint(Colour::bad, " MISSED"));
}

std::string state_of(const Body& service) {
  if (const auto running = service.find("running"); running != service.end()) {
    return "running: " + field(*running, "state");
  }
  if (service.value("paused", false)) return paint(Colour::warn, "paused");
  return "waiting";
}

// A line where drills are asked for or known of.
std::string drills_of(const Body& service) {
  const auto drill = service.find("drill");
  if (drill == service.end()) return {};
  std::string line;
  if (const auto last = drill->find("last"); last != drill->end()) {
    const bool good = field(*last, "outcome") == "good";
    line = fmt::format("last drill at {}: {}", short_instant(field(*last, "ended_at")),
                       paint(good ? Colour::good : Colour::bad, field(*last, "outcome")));
    if (last->contains("recovery_ns")) {
      line += ", brought up in " + span_text(last->value("recovery_ns", std::int64_t{0}));
    }
  }
  const auto age = drill->value("max_age_ns", std::int64_t{0});
  const auto next = field(*drill, "next");
  if (line.empty() && age == 0 && next.empty() && !drill->contains("running")) return {};
  if (line.empty()) line = paint(Colour::warn, "no drill yet");
  if (age > 0 && !drill->value("met", false)) {
    line += paint(Colour::bad, fmt::format(", NO GOOD ONE for {}", span_text(age)));
  }
  if (drill->contains("running")) line += "; one is under way";
  if (!next.empty()) line += "; next at " + short_instant(next);
  return line;
}

void print_services(const Body& services) {
  if (services.empty()) {
    print("\nno service yet: lockstep policy apply FILE");
    return;
  }
  Table table{{"SERVICE", "MODE", "STATE", "NEWEST POINT", "RPO", "NEXT MOMENT"}};
  for (const auto& service : services) {
    const auto next = field(service, "next_moment");
    table.row({field(service, "service"), field(service, "mode"), state_of(service),
               newest_of(service), rpo_of(service),
               next.empty() ? paint(Colour::dim, "by hand") : short_instant(next)});
  }
  print("\n" + table.text());
  for (const auto& service : services) {
    if (const auto line = drills_of(service); !line.empty()) {
      print(fmt::format("{}: {}", field(service, "service"), line));
    }
  }
  for (const auto& service : services) {
    const auto failure = service.find("last_failure");
    if (failure == service.end()) continue;
    std::string line =
        fmt::format("\n{}: last failure at {}, run {}", field(service, "service"),
                    short_instant(field(*failure, "started_at")), field(*failure, "run"));
    if (const auto error = failure->find("error"); error != failure->end()) {
      line += fmt::format("\n  {}: {} [{}]", field(*error, "what"), field(*error, "where"),
                          field(*error, "code"));
    }
    print(paint(Colour::warn, line));
  }
}

// Nothing where the part says nothing of it.
std::string clock_of(const Body& part) {
  const auto clock = part.find("clock");
  if (clock == part.end()) return {};
  std::string line = field(*clock, "source");
  if (!clock->value("synchronised", false)) {
    line += ", not synchronised";
  } else {
    line += fmt::format(", error {}", span_text(clock->value("error_ns", std::int64_t{0})));
  }
  if (clock->value("fit", true)) return paint(Colour::dim, line);
  return line + paint(Colour::bad, " UNFIT: " + field(*clock, "reason"));
}

// Where the last time that user data was to be applied it was not.
void print_users(const Body& status) {
  const auto users = status.find("users");
  if (users == status.end() || !users->contains("error")) return;
  const Body& error = users->at("error");
  const auto good = field(*users, "good_at");
  print(paint(Colour::warn,
              fmt::format("\nuser data was not applied at {} ({}): {}: {} [{}]",
                          short_instant(field(*users, "ended_at")),
                          good.empty() ? "it never was" : "it last was at " + short_instant(good),
                          field(error, "what"), field(error, "where"), field(error, "code"))));
}

void print_status(const Session& session, const Body& status) {
  std::string clusters;
  for (const auto& cluster : status.at("clusters")) {
    clusters += fmt::format("{}{} ({})", clusters.empty() ? "" : ", ", field(cluster, "name"),
                            field(cluster, "identity"));
  }
  print(fmt::format("site {}: {}; identity epoch {}", paint(Colour::bold, field(status, "site")),
                    clusters, status.at("epoch").value("number", 0)));
  // A site without a health-monitor is not made for taking over.
  if (session.directory().find("health-monitor") != nullptr) {
    const auto client = session.call("health-monitor", "client.show", Body::object());
    if (client) {
      print_client(*client);
    } else {
      print(paint(Colour::bad, "the health-monitor does not answer: " + client.error().what));
    }
  }
  if (const auto clock = clock_of(status); !clock.empty()) {
    print("clock of the control device: " + clock);
  }
  Table agents{{"AGENT", "", "SINCE", "CLOCK"}};
  for (const auto& agent : status.at("agents")) {
    agents.row({field(agent, "name"),
                agent.value("reachable", false) ? paint(Colour::good, "reachable")
                                                : paint(Colour::bad, "not reachable"),
                short_instant(field(agent, "since")), clock_of(agent)});
  }
  print(agents.text());
  print_services(status.at("services"));
  print_users(status);
}

Result<int> run_status(const Options& options) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const Body status, session.call("scheduler", "status", Body::object()));
  if (options.json) {
    print_json(status);
  } else {
    print_status(session, status);
  }
  return 0;
}

constexpr Nanos kLeastEvery = milliseconds(100);
std::atomic<bool> interrupted = false;

// Again and again until interrupted: on a terminal in one place, in a pipe one below the other;
// with --json a line each time. A service that does not answer now may do so the next time.
Result<int> watch_status(const Options& options, Nanos every) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  std::signal(SIGINT, [](int) { interrupted = true; });
  std::signal(SIGTERM, [](int) { interrupted = true; });
  const bool in_place = is_terminal(1) && !options.json;
  while (!interrupted && std::ferror(stdout) == 0) {
    const auto status = session.call("scheduler", "status", Body::object());
    if (in_place) std::fputs("\x1b[H\x1b[2J", stdout);  // ECMA-48: to the top, then clear
    if (!status) {
      print_error(status.error(), options.json);
    } else if (options.json) {
      print_json(*status);
    } else {
      print(paint(Colour::dim, to_rfc3339(session.clock().utc()).substr(0, 19) + " UTC"));
      print_status(session, *status);
    }
    std::fflush(stdout);
    const MonoNanos next = session.clock().mono() + every;
    while (!interrupted && session.clock().mono() < next) {
      (void)session.clock().wait_for(milliseconds(50), {});
    }
  }
  return 0;
}

struct Status {
  bool watch = false;
  std::string every = "2s";
};

}  // namespace

void add_status(Registry& registry) {
  CLI::App* command = registry.command("status", "Clusters, agents and services at a glance",
                                       "lockstep status -c lockstep.yaml");
  auto wish = std::make_shared<Status>();
  command->add_flag("--watch", wish->watch, "Show it again and again, until interrupted");
  command->add_option("--every", wish->every, "With --watch: how often")
      ->capture_default_str()
      ->type_name("SPAN");
  registry.takes_json(command);
  registry.on(command, [&registry, wish]() -> Result<int> {
    LOCKSTEP_TRY(const Nanos every, parse_duration(wish->every));
    if (every < kLeastEvery) {
      return make_error(ErrorCode::usage, "at most ten times a second", "--every " + wish->every);
    }
    return wish->watch ? watch_status(registry.options(), every) : run_status(registry.options());
  });
}

}  // namespace lockstep::cli
