#include "services/snapshot-agent/fence/hook.hpp"

namespace lockstep::snapshot {

namespace {

constexpr std::size_t kShownOutput = 2000;

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace

std::map<std::string, std::string> hook_environment(const HookOccasion& occasion,
                                                    const std::string& action) {
  constexpr std::int64_t kMilli = 1'000'000;
  return {{"LOCKSTEP_SERVICE", occasion.service},
          {"LOCKSTEP_SET", joined(occasion.sets)},
          {"LOCKSTEP_RUN", occasion.run},
          {"LOCKSTEP_ACTION", action},
          {"LOCKSTEP_MOMENT", to_rfc3339(occasion.moment)},
          {"LOCKSTEP_TIMEOUT_MS", std::to_string(occasion.timeout.count / kMilli)}};
}

Result<void> run_hook(os::Processes& processes, const std::vector<std::string>& argv,
                      const std::map<std::string, std::string>& environment, Nanos timeout,
                      std::stop_token stop) {
  os::Command command;
  command.argv = argv;
  command.environment = environment;
  LOCKSTEP_TRY(const os::Finished finished, processes.run(command, timeout, stop));
  if (finished.timed_out) {
    return make_error(ErrorCode::hook_failed,
                      "the hook did not end within " + to_duration(timeout) + " and was stopped",
                      joined(argv));
  }
  if (finished.exit_status == 0) return {};
  const std::size_t shown = std::min(finished.output.size(), kShownOutput);
  return make_error(
      ErrorCode::hook_failed,
      "the hook ended with status " + std::to_string(finished.exit_status) +
          (shown == 0 ? "" : ": " + finished.output.substr(finished.output.size() - shown)),
      joined(argv));
}

}  // namespace lockstep::snapshot
