#include "services/cli/supervisor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <filesystem>

#include "common/transport/peer.hpp"
#include "services/cli/output.hpp"

namespace lockstep::cli {

namespace {
constexpr Nanos kLongLife = seconds(60);
constexpr Nanos kShortest = milliseconds(200);
constexpr Nanos kLongest = seconds(30);
constexpr Nanos kGrace = seconds(20);        // between SIGTERM and SIGKILL
constexpr std::int64_t kLook = 100'000'000;  // how often ended services are looked for

// SIGTERM or SIGINT, if one comes within `span`.
bool asked_to_stop(std::int64_t span) {
  ::sigset_t wanted;
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGTERM);
  ::sigaddset(&wanted, SIGINT);
  const ::timespec time{span / 1'000'000'000, span % 1'000'000'000};
  return ::sigtimedwait(&wanted, nullptr, &time) > 0;
}

void say(const std::string& text) { print_notice(text); }
}  // namespace

Nanos Backoff::next(Nanos lived) {
  if (lived >= kLongLife) delay_ = {};
  const Nanos now = delay_;
  delay_ = std::min(kLongest, std::max(kShortest, Nanos{delay_.count * 2}));
  return now;
}

Result<std::string> program_of(const config::Site& site, const std::string& service) {
  const auto* agent = site.find_agent(service);
  const std::string role = agent == nullptr ? service : transport::role_name(agent->role);
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto program = self.parent_path() / ("lockstep-" + role);
  if (error || !std::filesystem::exists(program, error)) {
    return make_error(ErrorCode::not_found, "the program of `" + service + "` is not there",
                      program.string(), "all programs of Lockstep belong in one directory");
  }
  return program.string();
}

std::string log_path(const config::Site& site, const std::string& service) {
  return site.state + "/log/" + service + ".log";
}

std::string pid_path(const config::Site& site) { return site.state + "/lockstep.pid"; }

Supervisor::Supervisor(const config::Site& site, os::Processes& processes, const Clock& clock)
    : site_(site), processes_(processes), clock_(clock) {}

Result<void> Supervisor::start(Service& service) {
  os::Command command;
  command.argv = service.argv;
  command.output_file = log_path(site_, service.name);
  command.die_with_parent = true;
  LOCKSTEP_TRY(service.process, processes_.start(command));
  service.started = clock_.mono();
  return {};
}

void Supervisor::look_after() {
  const MonoNanos now = clock_.mono();
  for (auto& service : services_) {
    if (service.process != nullptr) {
      const auto status = service.process->poll();
      if (!status) continue;
      const Nanos wait = service.backoff.next(now - service.started);
      say(fmt::format(
          "{} ended with {}; {} (log: {})", service.name, *status,
          wait.count == 0 ? "starting it again" : "starting it again in " + to_duration(wait),
          log_path(site_, service.name)));
      service.process.reset();
      service.start_again = now + wait;
    }
    if (now < service.start_again) continue;
    if (auto started = start(service); !started) {
      say(started.error().text());
      service.start_again = now + service.backoff.next({});
    }
  }
}

void Supervisor::stop_all() {
  // The control device first, so that no new work begins.
  for (auto& service : services_) {
    if (service.process != nullptr) service.process->signal(SIGTERM);
  }
  const MonoNanos deadline = clock_.mono() + kGrace;
  bool killed = false;
  for (;;) {
    bool any = false;
    for (auto& service : services_) {
      if (service.process != nullptr && !service.process->poll()) any = true;
    }
    if (!any) return;
    if (!killed && clock_.mono() > deadline) {
      killed = true;
      for (auto& service : services_) {
        if (service.process == nullptr || service.process->poll()) continue;
        say(service.name + " did not end in " + to_duration(kGrace) + " and is killed");
        service.process->signal(SIGKILL);
      }
    }
    (void)clock_.wait_for(milliseconds(20), {});
  }
}

Result<void> Supervisor::run() {
  for (const auto& name : site_.here) {
    LOCKSTEP_TRY(const std::string program, program_of(site_, name));
    Service service;
    service.name = name;
    service.argv = {program, "--config", site_.file, "--name", name};
    services_.push_back(std::move(service));
  }
  for (auto& service : services_) {
    if (auto started = start(service); !started) {
      stop_all();
      return started;
    }
  }
  while (!asked_to_stop(kLook)) look_after();
  stop_all();
  return {};
}

}  // namespace lockstep::cli
