// lockstep-health-monitor: the two clients, the identity epoch's site of the control device,
// promotion.
#include <thread>

#include "common/service/identity_body.hpp"
#include "common/service/log.hpp"
#include "common/service/service.hpp"
#include "services/health-monitor/handlers.hpp"

namespace {

using namespace lockstep;

struct HealthMonitor {
  HealthMonitor(service::Surroundings& here, std::unique_ptr<service::IdentitySite> own)
      : site(std::move(own)),
        agreement(here, *site),
        watch(here, *site),
        promotion(here, *site, agreement, watch) {}

  std::unique_ptr<service::IdentitySite> site;
  health::Agreement agreement;
  health::Watch watch;
  health::Promotion promotion;
  std::jthread hook;
};

// Who is served by the hook `client-changed` (a load balancer, a name server) is told by it.
void call_hook(service::Surroundings& here, HealthMonitor& all) {
  const std::string hook = here.site.hooks + "/client-changed";
  if (!here.disk.stat_at(os::kCwd, hook)) return;
  os::Command command;
  command.argv = {hook, all.watch.application()};
  all.hook = std::jthread([&here, command](const std::stop_token& stop) {
    const auto finished = here.processes.run(command, seconds(30), stop);
    if (!finished) service::log_error(finished.error());
    if (finished && finished->exit_status != 0) {
      service::log_error(make_error(ErrorCode::hook_failed,
                                    "the hook ended with " + std::to_string(finished->exit_status),
                                    command.argv.front()));
    }
  });
}

Result<std::shared_ptr<void>> set_up(service::Surroundings& here) {
  // Nothing is published here: a decision is taken at once.
  LOCKSTEP_TRY(auto site, service::IdentitySite::load(
                              here, service::kControlSite,
                              [](const identity::Decision&,
                                 const service::IdentitySite::Done& done) { done({}); }));
  auto monitor = std::make_shared<HealthMonitor>(here, std::move(site));
  HealthMonitor& all = *monitor;
  here.epoch = [&all] {
    const auto newest = all.site->current();
    return newest ? service::epoch_of(*newest) : message::Epoch{};
  };
  here.snapshot = [&all] { return all.watch.body(); };
  all.watch.on_application.emplace_back([&here, &all] { call_hook(here, all); });
  health::serve(here, all.watch, all.promotion);
  all.site->serve();
  LOCKSTEP_CHECK(all.watch.start());
  LOCKSTEP_CHECK(all.promotion.resume());
  return std::shared_ptr<void>(std::move(monitor));
}

}  // namespace

int main(int argc, char** argv) {
  return service::run(
      argc, argv, transport::Role::health_monitor,
      {std::string(service::kIdentityTable) + health::kWatchTable + health::kPromotionTable},
      set_up);
}
