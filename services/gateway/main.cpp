// lockstep-gateway: what outsiders connect to.
#include <sys/resource.h>

#include <algorithm>

#include "common/service/service.hpp"
#include "services/gateway/feed.hpp"
#include "services/gateway/handlers.hpp"
#include "services/gateway/kept.hpp"
#include "services/gateway/outside.hpp"
#include "services/gateway/sources.hpp"
#include "services/gateway/trouble.hpp"

namespace {

using namespace lockstep;
using namespace lockstep::gateway;

struct Gateway {
  Gateway(service::Surroundings& here, Kept known, std::unique_ptr<Feed> opened)
      : kept(std::move(known)),
        feed(std::move(opened)),
        picture(here),
        sources(here, kept, *feed),
        trouble(here, *feed),
        outside(here, picture, metrics, *feed, replays) {
    sources.on_event = [this](const journal::Event& event) {
      metrics.count(event);
      picture.changed(event);
    };
  }

  Kept kept;
  std::unique_ptr<Feed> feed;
  Picture picture;
  Metrics metrics;
  ReplayCounts replays;
  Sources sources;
  Trouble trouble;
  Outside outside;
};

// A subscriber takes three. Where fewer can be had the gate lets those wait whom it has none for.
void allow_descriptors() {
  constexpr ::rlim_t kWanted = 16'384;
  ::rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kWanted) return;
  limit.rlim_cur = std::min(limit.rlim_max, kWanted);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<std::shared_ptr<void>> set_up(service::Surroundings& here) {
  if (!here.site.gateway) {
    return make_error(ErrorCode::config_missing_key, "the site has no gateway", here.site.file);
  }
  const config::Gateway& wish = *here.site.gateway;
  LOCKSTEP_TRY(auto kept, Kept::load(here.journal, static_cast<std::uint64_t>(wish.keep)));
  LOCKSTEP_TRY(auto feed, Feed::open(here.directory, here.clock, wish.feed));
  auto gateway = std::make_shared<Gateway>(here, std::move(kept), std::move(feed));
  serve(here.server, gateway->kept, gateway->replays);
  gateway->sources.follow();
  gateway->picture.start();
  LOCKSTEP_CHECK(gateway->outside.start());
  return std::shared_ptr<void>{gateway};
}

}  // namespace

int main(int argc, char** argv) {
  allow_descriptors();
  return service::run(argc, argv, transport::Role::gateway, migrations(), set_up);
}
