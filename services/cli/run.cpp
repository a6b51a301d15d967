// lockstep run, runs, resume, abort.
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/run_text.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

std::string state_text(const std::string& state) {
  if (state == "complete") return paint(Colour::good, state);
  if (state == "failed" || state == "aborted" || state == "missed") {
    return paint(Colour::bad, state);
  }
  return state;
}

std::string error_text(const Body& error) {
  std::string out = field(error, "what");
  if (const auto where = field(error, "where"); !where.empty()) out += ": " + where;
  return out + " [" + field(error, "code") + "]";
}

namespace {
// Of a step under way, with the rate since its start.
std::string step_progress(const Body& step) {
  if (!step.contains("progress") || field(step, "state") != "asked") return {};
  const auto began = parse_rfc3339(field(step, "started_at"));
  const Nanos took = began ? make_system_clock()->utc() - *began : Nanos{};
  return progress_text(step.at("progress"), 0, static_cast<double>(took.count) / 1e9);
}
}  // namespace

std::string run_text(const Body& run) {
  std::string out =
      fmt::format("run {} of {}: {}\n  moment    {}\n  attempt   {}\n  started   {}",
                  field(run, "run"), field(run, "service"), state_text(field(run, "state")),
                  field(run, "moment"), field(run, "attempt"), field(run, "started_at"));
  if (run.contains("ended_at")) out += "\n  ended     " + field(run, "ended_at");
  if (run.contains("skew_ns")) {
    out += fmt::format("\n  skew      {}, lateness {}",
                       span_text(run.value("skew_ns", std::int64_t{0})),
                       span_text(run.value("lateness_ns", std::int64_t{0})));
  }
  if (run.contains("point")) out += "\n  point     " + field(run, "point");
  if (const auto error = run.find("error"); error != run.end()) {
    out += "\n  error     " + paint(Colour::bad, error_text(*error));
    if (const auto hint = field(*error, "hint"); !hint.empty()) out += "\n  hint      " + hint;
  }
  const auto steps = run.find("steps");
  if (steps == run.end() || steps->empty()) return out;
  Table table{{"  STEP", "AGENT", "STATE", "STARTED", "ENDED", ""}};
  for (const auto& step : *steps) {
    const auto error = step.find("error");
    table.row({"  " + field(step, "step"), field(step, "agent"), state_text(field(step, "state")),
               field(step, "started_at"), field(step, "ended_at"),
               error == step.end() ? step_progress(step) : error_text(*error)});
  }
  return out + "\n" + table.text();
}

namespace {

struct Run {
  std::string service;  // or the word `show`
  std::string shown;    // behind `show`: the id of a run
  std::string at;
  bool wait = false;
  bool dry_run = false;
};

Result<int> show_run(const Options& options, const std::string& run) {
  LOCKSTEP_CHECK(check_id(run));
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const Body done, session.call("scheduler", "run.show", {{"run", run}}));
  if (options.json) {
    print_json(done.at("run"));
  } else {
    print(run_text(done.at("run")));
  }
  return 0;
}

Result<int> start_run(const Options& options, const Run& run) {
  LOCKSTEP_CHECK(check_name(run.service));
  const std::string& service = run.service;
  Body body{{"service", service}, {"wait", run.wait && !run.dry_run}, {"dry_run", run.dry_run}};
  if (!run.at.empty()) {
    const auto at = parse_rfc3339(run.at);
    if (!at) {
      return make_error(ErrorCode::usage, "--at wants an instant such as 2026-11-21T02:00:00Z",
                        run.at);
    }
    body["at"] = to_rfc3339(*at);
  }
  LOCKSTEP_TRY(const Session session, Session::open(options));
  Progress progress{service, options.json};
  std::string id;
  auto answer = session.call("scheduler", "run.start", std::move(body),
                             run.wait ? Patience::long_ : Patience::short_,
                             [&](const transport::Reply& reply) {
                               if (reply.stage == transport::Reply::Stage::progress) {
                                 id = field(reply.body, "run");
                                 progress.show(reply.body);
                               } else if (id.empty()) {
                                 id = field(reply.body, "run");
                                 Body first = reply.body;
                                 first["state"] = "run " + id;
                                 progress.show(first);
                               }
                             });
  progress.finish();
  if (!answer) {
    Error error = answer.error();
    // What to ask next, where the run is known.
    if (!id.empty() && error.hint.find(id) == std::string::npos) {
      error.hint = std::string{error.advice()} + "; `lockstep explain " + id + "` tells the steps";
    }
    return error;
  }
  const Body& done = *answer;
  if (options.json) {
    print_json(done);
  } else if (run.dry_run) {
    print(fmt::format("{} could run, at {}", service, field(done, "moment")));
  } else if (!run.wait) {
    print(fmt::format("run {} of {} for {}", field(done, "run"), service, field(done, "moment")));
  } else {
    print(fmt::format("{}: run {}, moment {}, attempts {}", state_text(field(done, "state")),
                      field(done, "run"), field(done, "moment"), field(done, "attempts")));
    if (done.contains("point"))
      print("recovery point " + paint(Colour::bold, field(done, "point")));
  }
  return 0;
}

Result<int> run_or_show(const Options& options, const Run& run) {
  if (run.service == "show") {
    if (!run.shown.empty()) return show_run(options, run.shown);
    return make_error(ErrorCode::usage, "`lockstep run show` wants the id of a run", {},
                      "`lockstep runs` lists them");
  }
  if (!run.shown.empty()) {
    return make_error(ErrorCode::usage, "`lockstep run` wants one service", run.shown);
  }
  return start_run(options, run);
}

struct Listing {
  std::string service;
  int limit = 20;
};

Result<int> list_runs(const Options& options, const Listing& listing) {
  if (!listing.service.empty()) LOCKSTEP_CHECK(check_name(listing.service));
  LOCKSTEP_TRY(const Session session, Session::open(options));
  Body body{{"limit", listing.limit}};
  if (!listing.service.empty()) body["service"] = listing.service;
  LOCKSTEP_TRY(const Body done, session.call("scheduler", "run.list", std::move(body)));
  const auto& runs = done.at("runs");
  if (options.json) {
    print_json(runs);
    return 0;
  }
  Table table{{"RUN", "SERVICE", "STATE", "MOMENT", "ATTEMPT", "SKEW", ""}};
  for (const auto& run : runs) {
    const auto error = run.find("error");
    table.row({field(run, "run"), field(run, "service"), state_text(field(run, "state")),
               short_instant(field(run, "moment")), field(run, "attempt"),
               run.contains("skew_ns") ? span_text(run.value("skew_ns", std::int64_t{0})) : "",
               error != run.end()         ? field(*error, "code")
               : run.contains("progress") ? progress_text(run.at("progress"), 0, 0)
                                          : ""});
  }
  print(table.empty() ? "no runs yet" : table.text());
  return 0;
}

Result<int> steer(const Options& options, const std::string& type, const std::string& run) {
  LOCKSTEP_CHECK(check_id(run));
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const Body done, session.call("scheduler", type, {{"run", run}}));
  if (options.json) {
    print_json(done);
  } else {
    print(fmt::format("run {}: {}", field(done, "run"), state_text(field(done, "state"))));
  }
  return 0;
}

}  // namespace

void add_run(Registry& registry) {
  auto run = std::make_shared<Run>();
  CLI::App* command =
      registry.command("run", "Back a service up now, or show a run: run SERVICE | run show RUN",
                       "lockstep run orders --wait");
  command->add_option("SERVICE", run->service, "The service, or the word `show`")->required();
  command->add_option("RUN", run->shown, "Behind `show`: the id of a run");
  command->add_option("--at", run->at, "The moment, instead of the earliest one")
      ->type_name("INSTANT");
  command->add_flag("--wait", run->wait, "Return when the run has ended, with its outcome");
  command->add_flag("--dry-run", run->dry_run, "Only say whether it could run");
  registry.takes_json(command);
  registry.on(command, [&registry, run] { return run_or_show(registry.options(), *run); });

  auto listing = std::make_shared<Listing>();
  CLI::App* runs =
      registry.command("runs", "Runs, the newest first", "lockstep runs orders --limit 5");
  runs->add_option("SERVICE", listing->service, "Only of this service");
  runs->add_option("--limit", listing->limit, "How many")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  registry.takes_json(runs);
  registry.on(runs, [&registry, listing] { return list_runs(registry.options(), *listing); });

  struct Steering {
    const char* name;
    const char* description;
  };
  for (const auto& one : {Steering{"resume", "Go on with a run that waits for something"},
                          Steering{"abort", "End a run; what it pinned is dropped"}}) {
    auto id = std::make_shared<std::string>();
    const std::string name = one.name;
    CLI::App* steering = registry.command(name, one.description, "lockstep " + name + " RUN");
    steering->add_option("RUN", *id, "The run's id")->required();
    registry.takes_json(steering);
    registry.on(steering,
                [&registry, id, name] { return steer(registry.options(), "run." + name, *id); });
  }
}

}  // namespace lockstep::cli
