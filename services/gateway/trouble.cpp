#include "services/gateway/trouble.hpp"

#include <spdlog/spdlog.h>

#include "common/service/log.hpp"

namespace lockstep::gateway {

namespace {
constexpr Nanos kEvery = seconds(10);
}

Trouble::Trouble(service::Surroundings& here, const Feed& feed)
    : here_(here), feed_(feed), timer_(here.reactor.every(kEvery, [this] { look(); })) {}

Trouble::~Trouble() { here_.reactor.cancel(timer_); }

void Trouble::look() {
  const ConnectionCounts now = feed_.connections();
  const message::Body since{{"slow", now.slow - told_.slow},
                            {"frozen", now.frozen - told_.frozen},
                            {"flooding", now.flooding - told_.flooding},
                            {"malformed", now.malformed - told_.malformed},
                            {"refused", now.refused - told_.refused}};
  told_ = now;
  bool any = false;
  for (const auto& count : since) any = any || count.get<std::uint64_t>() > 0;
  if (!any) return;
  spdlog::warn("subscribers of the feed: {}", since.dump());
  const auto kept = here_.journal.transact("gateway.trouble",
                                           [&](journal::Transaction& transaction) -> Result<void> {
                                             transaction.emit("feed.troubled", here_.name, since);
                                             return {};
                                           });
  if (kept) {
    here_.events.flush();
  } else if (kept.error().code == ErrorCode::journal_write) {
    here_.fail(kept.error());
  } else {
    service::log_error(kept.error());
  }
}

}  // namespace lockstep::gateway
