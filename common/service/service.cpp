#include "common/service/service.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>

#include "common/service/audit.hpp"
#include "common/service/clock_body.hpp"
#include "common/service/injection.hpp"
#include "common/service/log.hpp"
#include "common/service/log_level.hpp"

namespace lockstep::service {

namespace {

struct Arguments {
  std::string config;
  std::string name;
};

int exit_status(const Error& error) { return error_info(error.code).exit_status; }

Result<std::unique_ptr<journal::Journal>> open_journal(os::Disk& disk, const config::Site& site,
                                                       const std::string& name,
                                                       const journal::Migrations& migrations,
                                                       const Clock& clock, bool& anew) {
  auto made = disk.make_directory(os::kCwd, site.state, 0700);
  if (!made && made.error().number != EEXIST) {
    return from_errno(ErrorCode::journal_open, made.error().number, "make the state directory",
                      site.state);
  }
  journal::OpenOptions options;
  options.path = site.state + "/" + name + ".db";
  options.source = name;
  options.migrations = migrations;
  auto opened = journal::open(options, clock);
  if (!opened && opened.error().code == ErrorCode::journal_corrupt) {
    log_error(opened.error());
    anew = true;
    opened = journal::open(options, clock);
  }
  return opened;
}

// The first error that ends the process.
class Ending {
 public:
  void set(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = error;
  }
  int status() const {
    const std::lock_guard lock(mutex_);
    return error_ ? exit_status(*error_) : 0;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<Error> error_;
};

message::Body journal_body(const journal::Journal& journal) {
  const journal::WriteTimes times = journal.write_times();
  message::Body bounds = message::Body::array();
  for (const Nanos bound : journal::WriteTimes::kBounds) bounds.push_back(bound.count);
  return {
      {"bounds_ns", std::move(bounds)}, {"counts", times.counts}, {"total_ns", times.total.count}};
}

void answer_ping(Surroundings& here, transport::Role role, UtcNanos started) {
  here.server.on("ping", transport::all_roles(), [&here, role, started](const auto& request) {
    const UtcNanos received = here.clock.utc();
    message::Body clock = clock_body(here.clock);
    const message::Epoch epoch = here.epoch ? here.epoch() : first_epoch(here.site);
    request.done({{"name", here.name},
                  {"role", transport::role_name(role)},
                  {"version", here.version},
                  {"pid", ::getpid()},
                  {"started_at", to_rfc3339(started)},
                  {"epoch", {{"number", epoch.number}, {"promotion", epoch.promotion}}},
                  {"clock", std::move(clock)},
                  {"journal", journal_body(here.journal)},
                  {"received_at", to_rfc3339(received)},
                  {"answered_at", to_rfc3339(here.clock.utc())}});
  });
}

// A refusal is an event, at most one a minute for each party and message: nobody fills the journal
// by knocking.
void tell_refusals(Surroundings& here) {
  using Key = std::pair<std::string, std::string>;
  auto told = std::make_shared<std::map<Key, MonoNanos>>();
  here.server.on_refusal([&here, told](const transport::Party& peer, const std::string& type) {
    const MonoNanos now = here.clock.mono();
    const auto last = told->find({peer.name, type});
    if (last != told->end() && now - last->second < seconds(60)) return;
    (*told)[{peer.name, type}] = now;
    const auto kept = here.journal.transact(
        "service.role-refused", [&](journal::Transaction& transaction) -> Result<void> {
          transaction.emit(
              "role.refused", peer.name,
              {{"peer", peer.name}, {"type", type}, {"role", transport::role_name(peer.role)}});
          return {};
        });
    if (kept) {
      here.events.flush();
    } else if (kept.error().code == ErrorCode::journal_write) {
      here.fail(kept.error());
    } else {
      log_error(kept.error());
    }
  });
}

Result<int> serve(const Arguments& arguments, transport::Role role,
                  const journal::Migrations& migrations, const Setup& setup) {
  LOCKSTEP_TRY(const config::Site site, config::load_site(arguments.config));
  LOCKSTEP_CHECK(set_up_log(arguments.name, site.log_format, site.log_level));
  LOCKSTEP_TRY(const transport::Directory directory, site.directory(arguments.name));
  if (directory.me().role != role) {
    return make_error(ErrorCode::usage,
                      "'" + arguments.name + "' is a " + transport::role_name(directory.me().role) +
                          "; this program is a " + transport::role_name(role),
                      site.file);
  }
  const auto clock = make_system_clock();
  const auto disk = os::make_kernel_disk();
  const auto processes = os::make_system_processes();
  const UtcNanos started = clock->utc();
  // Before everything that takes time: a signal at any moment from here ends it cleanly.
  const auto reactor = transport::make_reactor(*clock, true);

  bool anew = false;
  LOCKSTEP_TRY(const auto journal,
               open_journal(*disk, site, arguments.name, migrations, *clock, anew));
  LOCKSTEP_TRY(const auto server, transport::make_server(*reactor, directory, *clock));
  const auto client = transport::make_client(*reactor, directory, *clock);
  std::function<message::Body()> snapshot;
  LOCKSTEP_TRY(const auto events, transport::make_event_publisher(
                                      *reactor, directory, *clock, *journal, *server, [&snapshot] {
                                        return snapshot ? snapshot() : message::Body::object();
                                      }));
  const auto audited = make_audited_server(*server, *disk, *clock,
                                           site.state + "/audit/" + arguments.name + ".jsonl");
  Ending ending;
  Surroundings here{
      arguments.name, LOCKSTEP_VERSION, site,     directory, *clock,  *disk, *processes, *journal,
      anew,           *reactor,         *audited, *client,   *events, {},    {},         {}};
  here.fail = [&](const Error& error) {
    log_error(error);
    ending.set(error);
    reactor->stop();
  };
  answer_ping(here, role, started);
  tell_refusals(here);
  take_injection_marks(here);
  take_log_level(here);
  LOCKSTEP_TRY(std::shared_ptr<void> service, setup(here));
  snapshot = here.snapshot;
  events->flush();
  spdlog::info("{} {} serves at {}", transport::role_name(role), LOCKSTEP_VERSION,
               directory.me().endpoint);
  reactor->run();
  service.reset();
  spdlog::info("ended");
  return ending.status();
}

}  // namespace

message::Epoch first_epoch(const config::Site& site) { return {1, site.first_promotion}; }

int run(int argc, char** argv, transport::Role role, const journal::Migrations& migrations,
        const Setup& setup) {
  Arguments arguments;
  CLI::App app{std::string("Lockstep's ") + transport::role_name(role)};
  app.set_version_flag("--version", LOCKSTEP_VERSION);
  app.add_option("--config", arguments.config, "lockstep.yaml")->required();
  app.add_option("--name", arguments.name, "this service's name in it")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : 2;
  }
  // A peer or a pipe that went away shows as an error of the call, not as the end of the process.
  ::signal(SIGPIPE, SIG_IGN);
  // Until the configuration tells how to log.
  if (auto set = set_up_log(arguments.name, "text", "info"); !set) return exit_status(set.error());
  auto status = serve(arguments, role, migrations, setup);
  if (!status) {
    log_error(status.error());
    return exit_status(status.error());
  }
  return *status;
}

}  // namespace lockstep::service
