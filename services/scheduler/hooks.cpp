#include "services/scheduler/hooks.hpp"

#include <algorithm>

#include "common/os/failpoint.hpp"

namespace lockstep::scheduler {
namespace {

os::Command command_for(const policy::Hook& hook, const run::State& state, run::Act act) {
  os::Command command;
  command.argv = hook.argv;
  command.environment = {{"LOCKSTEP_HOOK", run::act_name(act)},
                         {"LOCKSTEP_SERVICE", state.plan.service},
                         {"LOCKSTEP_RUN", state.plan.run},
                         {"LOCKSTEP_ATTEMPT", std::to_string(state.plan.attempt)},
                         {"LOCKSTEP_MOMENT", to_rfc3339({state.moment})}};
  if (act == run::Act::after) {
    command.environment["LOCKSTEP_RESULT"] = run::phase_name(state.ending);
    command.environment["LOCKSTEP_ERROR"] = state.failure ? state.failure->code : "";
  }
  return command;
}

Result<void> outcome(const Result<os::Finished>& finished, const os::Command& command) {
  if (!finished) {
    return make_error(ErrorCode::hook_failed, finished.error().text(), command.argv.front());
  }
  const os::Finished& end = finished.value();
  if (end.timed_out) {
    return make_error(ErrorCode::hook_failed, "the hook did not end in time", command.argv.front());
  }
  if (end.exit_status != 0) {
    std::string last =
        end.output.substr(end.output.size() - std::min<std::size_t>(end.output.size(), 400));
    while (!last.empty() && last.back() == '\n') last.pop_back();
    return make_error(ErrorCode::hook_failed,
                      "the hook ended with " + std::to_string(end.exit_status) +
                          (last.empty() ? "" : ": " + last),
                      command.argv.front());
  }
  return {};
}

}  // namespace

Hooks::~Hooks() {
  for (std::jthread& thread : running_) thread.request_stop();
}

void Hooks::run(const policy::Hook& hook, const run::State& state, run::Act act, Then then) {
  running_.emplace_back();
  const auto place = std::prev(running_.end());
  *place =
      std::jthread([this, place, command = command_for(hook, state, act), timeout = hook.timeout,
                    then = std::move(then)](const std::stop_token& stop) {
        Result<void> result = outcome(processes_.run(command, timeout, stop), command);
        os::failpoint("scheduler.hook.ended");
        reactor_.post([this, place, then, result = std::move(result)] {
          running_.erase(place);  // joins: the thread has nothing left to do
          then(result);
        });
      });
}

}  // namespace lockstep::scheduler
