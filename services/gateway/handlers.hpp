// The gateway's messages: feed.sources and feed.since (docs/protocol.md).
//
// Thread rule: the reactor's thread.
#pragma once

#include <atomic>

#include "common/transport/server.hpp"
#include "services/gateway/kept.hpp"

namespace lockstep::gateway {

// What was asked for again. Any thread.
struct ReplayCounts {
  std::atomic<std::uint64_t> answered{0};
  std::atomic<std::uint64_t> events{0};
  std::atomic<std::uint64_t> gaps{0};
};

// `kept` and `counts` outlive the server.
void serve(transport::Server& server, const Kept& kept, ReplayCounts& counts);

}  // namespace lockstep::gateway
