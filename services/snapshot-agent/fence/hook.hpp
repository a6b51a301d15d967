// Hooks: programs of the user that hold writers and let them go (docs/fences.md).
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "common/clock/moment.hpp"
#include "common/error/error.hpp"
#include "common/os/processes.hpp"

namespace lockstep::snapshot {

// What a hook is told of the run it is part of.
struct HookOccasion {
  std::string service;
  std::vector<std::string> sets;  // those that this one fence holds
  std::string run;
  UtcNanos moment;
  Nanos timeout;  // of the fence
};

// LOCKSTEP_SERVICE, LOCKSTEP_SET, LOCKSTEP_RUN, LOCKSTEP_ACTION, LOCKSTEP_MOMENT,
// LOCKSTEP_TIMEOUT_MS.
std::map<std::string, std::string> hook_environment(const HookOccasion& occasion,
                                                    const std::string& action);

// Runs a hook to its end. Errors: hook-failed, with its exit status and the end of its output.
Result<void> run_hook(os::Processes& processes, const std::vector<std::string>& argv,
                      const std::map<std::string, std::string>& environment, Nanos timeout,
                      std::stop_token stop);

}  // namespace lockstep::snapshot
