// lockstep up, lockstep down: this host's services.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <set>
#include <thread>

#include "common/os/durable.hpp"
#include "services/cli/files.hpp"
#include "services/cli/output.hpp"
#include "services/cli/pid_file.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"
#include "services/cli/supervisor.hpp"

namespace lockstep::cli {

namespace {

namespace fs = std::filesystem;

struct Up {
  bool detach = false;
  std::string wait = "30s";
};

// The directory of a socket is private: who may enter it may talk to the service on a site without
// keys. One that is gone (/run is emptied at boot) is made again.
Result<void> private_directory(os::Disk& disk, const std::string& path) {
  if (!os::exists(disk, path)) return os::make_directories(disk, path, 0700, 0755);
  const auto status = disk.stat_at(os::kCwd, path);
  if (!status || !S_ISDIR(status->st_mode) ||
      (status->st_uid != ::geteuid() && status->st_uid != 0) || (status->st_mode & 0022) != 0) {
    return make_error(ErrorCode::guard, "others may put sockets into the directory", path,
                      "it must belong to this user and be writable by nobody else: chmod 0700");
  }
  return {};
}

Result<void> prepare(os::Disk& disk, const config::Site& site) {
  LOCKSTEP_CHECK(os::make_directories(disk, site.state, 0700, 0755));
  LOCKSTEP_CHECK(os::make_directories(disk, site.state + "/log", 0700, 0755));
  std::set<std::string> directories;
  const auto note = [&directories](const std::string& endpoint) {
    if (endpoint.starts_with("ipc://")) {
      directories.insert(fs::path{endpoint.substr(6)}.parent_path().string());
    }
  };
  const std::set<std::string> here(site.here.begin(), site.here.end());
  for (const auto& service : site.control) {
    if (!here.contains(service.name)) continue;
    note(service.endpoint);
    note(service.events);
    if (service.name == "gateway" && site.gateway) note(site.gateway->feed);
  }
  for (const auto& [name, cluster] : site.clusters) {
    for (const auto& agent : cluster.agents) {
      if (!here.contains(agent.name)) continue;
      note(agent.endpoint);
      note(agent.bulk);
      note(agent.events);
    }
  }
  for (const auto& directory : directories) LOCKSTEP_CHECK(private_directory(disk, directory));
  return {};
}

// With the user's key, or, on a host that has none, with the key of a service that runs here: any
// party may ask `ping`.
Result<Session> open_for_ping(const Options& options, const config::Site& site) {
  auto session = Session::open(options);
  if (session || site.here.empty() || !options.as.empty()) return session;
  Options own = options;
  own.as = site.here.front();
  auto other = Session::open(own);
  return other ? std::move(other) : std::move(session);
}

// Whether the service is to know the identity epoch before it is up: where all three sites of the
// identity run on this host, so that they find each other.
bool needs_identity(const config::Site& site, const std::string& service) {
  const std::set<std::string> here(site.here.begin(), site.here.end());
  if (!here.contains("health-monitor")) return false;
  bool is_registrar = false;
  for (const auto& [name, cluster] : site.clusters) {
    const auto* registrar = site.registrar(name);
    if (registrar == nullptr || !here.contains(registrar->name)) return false;
    is_registrar = is_registrar || registrar->name == service;
  }
  return is_registrar || service == "health-monitor" || service == "scheduler";
}

// Asks `service` until it answers; false when `keep_trying` says so first.
bool wait_for_answer(const Session& session, const std::string& service,
                     const std::function<bool()>& keep_trying) {
  const bool with_identity = needs_identity(session.site(), service);
  while (keep_trying()) {
    const auto pong = session.call(service, "ping", Body::object(), Patience::probe);
    if (pong && (!with_identity || pong->at("epoch").at("number") > 0)) return true;
    (void)session.clock().wait_for(milliseconds(50), {});
  }
  return false;
}

std::string last_lines(os::Disk& disk, const std::string& path) {
  const auto text = read_small_file(disk, path);
  if (!text) return {};
  std::string tail = text->size() > 1500 ? text->substr(text->size() - 1500) : *text;
  while (tail.ends_with('\n')) tail.pop_back();
  return tail;
}

Result<int> run_detached(const Options& options, const Up& up) {
  LOCKSTEP_TRY(const Nanos wait, parse_duration(up.wait));
  LOCKSTEP_TRY(const std::string file, config_file(options));
  LOCKSTEP_TRY(const auto site, config::load_site(file));
  LOCKSTEP_TRY(const Session session, open_for_ping(options, site));
  const auto disk = os::make_kernel_disk();
  LOCKSTEP_CHECK(prepare(*disk, site));
  if (const auto pid = running_supervisor(*disk, pid_path(site))) {
    return make_error(ErrorCode::run_busy,
                      fmt::format("this host's services are up already (process {})", *pid),
                      pid_path(site), "`lockstep down` stops them");
  }
  std::error_code error;
  os::Command command;
  command.argv = {fs::read_symlink("/proc/self/exe", error).string(), "up", "-c", site.file};
  command.output_file = log_path(site, "lockstep-up");
  command.detach = true;
  const auto processes = os::make_system_processes();
  LOCKSTEP_TRY(const auto supervisor, processes->start(command));

  const MonoNanos deadline = session.clock().mono() + wait;
  for (const auto& service : site.here) {
    const bool answers = wait_for_answer(
        session, service, [&] { return !supervisor->poll() && session.clock().mono() < deadline; });
    if (answers) continue;
    const bool ended = supervisor->poll().has_value();
    const std::string log = log_path(site, ended ? "lockstep-up" : service);
    if (!ended) {
      supervisor->signal(SIGTERM);
      supervisor->wait();
    }
    const std::string tail = last_lines(*disk, log);
    if (!tail.empty()) print_notice(safe_lines(tail));
    return make_error(
        ErrorCode::unreachable,
        ended ? "the services did not start"
              : "`" + service + "` did not answer within " + up.wait + "; all were stopped again",
        log, "the lines above are the end of that log");
  }
  print(fmt::format("up: {} (process {}), logs in {}/log", fmt::join(site.here, ", "),
                    supervisor->pid(), site.state));
  return 0;
}

Result<int> run_in_foreground(const Options& options) {
  // Before any thread is made, so that every thread inherits it; the services' own mask is cleared
  // by common/os.
  ::sigset_t wanted;
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGTERM);
  ::sigaddset(&wanted, SIGINT);
  ::sigprocmask(SIG_BLOCK, &wanted, nullptr);

  LOCKSTEP_TRY(const std::string file, config_file(options));
  LOCKSTEP_TRY(const auto site, config::load_site(file));
  const auto disk = os::make_kernel_disk();
  LOCKSTEP_CHECK(prepare(*disk, site));
  LOCKSTEP_TRY(const auto pid_file, PidFile::take(*disk, pid_path(site)));
  const auto processes = os::make_system_processes();
  const auto clock = make_system_clock();
  Supervisor supervisor{site, *processes, *clock};
  // Says when all answer.
  std::atomic<bool> going = true;
  std::thread announcer;
  if (auto session = open_for_ping(options, site)) {
    announcer =
        std::thread([session = std::make_shared<Session>(std::move(session).value()), &going] {
          for (const auto& service : session->site().here) {
            if (!wait_for_answer(*session, service, [&going] { return going.load(); })) return;
          }
          print_notice(fmt::format("up: {}", fmt::join(session->site().here, ", ")));
        });
  }
  auto done = supervisor.run();
  going = false;
  if (announcer.joinable()) announcer.join();
  if (!done) return done.error();
  return 0;
}

Result<int> run_down(const Options& options) {
  LOCKSTEP_TRY(const std::string file, config_file(options));
  LOCKSTEP_TRY(const auto site, config::load_site(file));
  const auto disk = os::make_kernel_disk();
  const auto pid = running_supervisor(*disk, pid_path(site));
  if (!pid) {
    print("nothing was up");
    return 0;
  }
  const auto started = start_time_of(*disk, *pid);
  if (::kill(*pid, SIGTERM) != 0) {
    return from_errno(ErrorCode::permission, errno, "stop the services",
                      fmt::format("process {}", *pid));
  }
  const auto clock = make_system_clock();
  const MonoNanos deadline = clock->mono() + seconds(60);
  // The pid file is gone a little before the process.
  while (started && start_time_of(*disk, *pid) == started) {
    if (clock->mono() > deadline) {
      return make_error(ErrorCode::deadline, "the services did not end within a minute",
                        fmt::format("process {}", *pid), "see the logs in " + site.state + "/log");
    }
    (void)clock->wait_for(milliseconds(20), {});
  }
  print("down");
  return 0;
}

}  // namespace

void add_up(Registry& registry) {
  auto up = std::make_shared<Up>();
  CLI::App* command = registry.command("up", "Start this host's services and keep them running",
                                       "lockstep up -c lockstep.yaml --detach");
  command->add_flag("--detach", up->detach, "Return when all of them answer; they go on");
  command->add_option("--wait", up->wait, "With --detach: how long to wait for their answers")
      ->capture_default_str()
      ->type_name("SPAN");
  registry.on(command, [&registry, up] {
    return up->detach ? run_detached(registry.options(), *up)
                      : run_in_foreground(registry.options());
  });
  CLI::App* down =
      registry.command("down", "Stop this host's services", "lockstep down -c lockstep.yaml");
  registry.on(down, [&registry] { return run_down(registry.options()); });
}

}  // namespace lockstep::cli
