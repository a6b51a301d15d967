#include "services/gateway/handlers.hpp"

#include <algorithm>

namespace lockstep::gateway {

namespace {

using message::Body;
using transport::KeptEvents;
using transport::Request;

constexpr std::size_t kMostEvents = 2000;
// An answer stays well below one message's limit.
constexpr std::size_t kMostBytes = 768 * 1024;

Body range_body(const std::string& source, const KeptEvents& range) {
  return {{"source", source},
          {"incarnation", range.incarnation},
          {"first", range.first},
          {"last", range.last}};
}

void since(const Request& request, const Kept& kept, ReplayCounts& counts) {
  const Body& asked = request.body();
  const auto source = asked["source"].get<std::string>();
  const auto found = kept.sources().find(source);
  if (found == kept.sources().end()) {
    request.failed(make_error(ErrorCode::not_found, "no event of this service is kept", source,
                              "`feed.sources` lists those of which there are"));
    return;
  }
  const auto [gap, after] = transport::replay_from(found->second, asked);
  const auto limit = std::min(asked["limit"].get<std::size_t>(), kMostEvents);
  const auto events = kept.after(source, after, limit, kMostBytes);
  if (!events) {
    request.failed(events.error());
    return;
  }
  ++counts.answered;
  counts.events += events->size();
  counts.gaps += gap ? 1 : 0;
  Body out = range_body(source, found->second);
  out["gap"] = gap;
  out["events"] = *events;
  request.done(std::move(out));
}

}  // namespace

void serve(transport::Server& server, const Kept& kept, ReplayCounts& counts) {
  server.on("feed.sources", transport::all_roles(), [&kept](const Request& request) {
    Body list = Body::array();
    for (const auto& [source, range] : kept.sources()) list.push_back(range_body(source, range));
    request.done({{"sources", std::move(list)}});
  });
  server.on("feed.since", transport::all_roles(),
            [&kept, &counts](const Request& request) { since(request, kept, counts); });
}

}  // namespace lockstep::gateway
