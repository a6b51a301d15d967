#include "services/health-monitor/site_hooks.hpp"

#include "common/service/log.hpp"

namespace lockstep::health {

namespace {
constexpr Nanos kPatience = seconds(30);
}

SiteHooks::~SiteHooks() {
  for (auto& thread : running_) thread.request_stop();
  for (auto& thread : running_) thread.join();
}

bool SiteHooks::has(const std::string& name) const {
  return here_.disk.stat_at(os::kCwd, here_.site.hooks + "/" + name).has_value();
}

void SiteHooks::call(const std::string& name, const std::string& cluster,
                     const std::map<std::string, std::string>& environment, Then then) {
  const std::string path = here_.site.hooks + "/" + name;
  if (!has(name)) {
    if (!then) return;
    here_.reactor.post([then = std::move(then), path] {
      then({false, false, "there is no hook " + path});
    });
    return;
  }
  os::Command command;
  command.argv = {path, cluster};
  command.environment = environment;
  command.environment["LOCKSTEP_CLUSTER"] = cluster;
  const auto slot = running_.emplace(running_.end());
  *slot = std::jthread([this, command, slot, then = std::move(then)](const std::stop_token& stop) {
    auto finished = here_.processes.run(command, kPatience, stop);
    here_.reactor.post(
        [this, slot, then, path = command.argv.front(), finished = std::move(finished)] {
          running_.erase(slot);  // its last act was to post this
          End end{true, false, {}};
          if (!finished) {
            end.said = finished.error().text();
          } else if (finished->timed_out) {
            end.said = "the hook " + path + " did not end in time";
          } else if (finished->exit_status != 0) {
            end.said = "the hook " + path + " ended with " + std::to_string(finished->exit_status);
          } else {
            end.succeeded = true;
            end.said = "the hook " + path + " succeeded";
          }
          if (!end.succeeded) service::log_error(make_error(ErrorCode::hook_failed, end.said));
          if (then) then(end);
        });
  });
}

}  // namespace lockstep::health
