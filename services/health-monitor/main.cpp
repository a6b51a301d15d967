// lockstep-health-monitor: the two clients, the identity epoch's site of the control device,
// promotion.
#include "common/service/identity_body.hpp"
#include "common/service/service.hpp"
#include "services/health-monitor/handlers.hpp"

namespace {

using namespace lockstep;

struct HealthMonitor {
  HealthMonitor(service::Surroundings& here, std::unique_ptr<service::IdentitySite> own)
      : site(std::move(own)),
        agreement(here, *site),
        watch(here, *site),
        hooks(here),
        promotion(here, *site, agreement, watch, hooks) {}

  std::unique_ptr<service::IdentitySite> site;
  health::Agreement agreement;
  health::Watch watch;
  health::SiteHooks hooks;
  health::Promotion promotion;
};

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
  // A load balancer, a name server.
  all.watch.on_application.emplace_back(
      [&all] { all.hooks.call("client-changed", all.watch.application(), {}, {}); });
  all.watch.on_fault = [&all](const std::string& cluster) {
    all.hooks.call("fault-prompt", cluster, {}, {});
  };
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
