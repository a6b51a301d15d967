// Supervisor: this host's services of a site, started, kept alive, stopped.
//
// One thread, the process's first: the kernel ends the services with it (PR_SET_PDEATHSIG).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/config/site.hpp"
#include "common/os/processes.hpp"

namespace lockstep::cli {

// When a service that ended is started again: at once the first time, then after twice as long each
// time it does not live for a minute, at most half a minute. Pure.
class Backoff {
 public:
  // `lived`: how long it ran before it ended.
  Nanos next(Nanos lived);

 private:
  Nanos delay_{};
};

// The program of a service's role: "lockstep-transfer-agent", beside this one.
Result<std::string> program_of(const config::Site& site, const std::string& service);
std::string log_path(const config::Site& site, const std::string& service);
std::string pid_path(const config::Site& site);

class Supervisor {
 public:
  Supervisor(const config::Site& site, os::Processes& processes, const Clock& clock);

  // Starts all, then keeps them alive until SIGTERM or SIGINT, which it passes on; returns when all
  // have ended. Requires: those signals are blocked in every thread.
  Result<void> run();

 private:
  struct Service {
    std::string name;
    std::vector<std::string> argv;
    std::unique_ptr<os::Process> process;
    Backoff backoff;
    MonoNanos started;
    MonoNanos start_again;  // where it does not run
  };

  Result<void> start(Service& service);
  void look_after();
  void stop_all();

  const config::Site& site_;
  os::Processes& processes_;
  const Clock& clock_;
  std::vector<Service> services_;
};

}  // namespace lockstep::cli
