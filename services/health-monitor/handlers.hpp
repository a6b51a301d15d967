// The health-monitor's messages (docs/protocol.md).
//
// Thread rule: the reactor's thread.
#pragma once

#include "services/health-monitor/promotion.hpp"
#include "services/health-monitor/watch.hpp"

namespace lockstep::health {

// Both outlive the server's handlers.
void serve(service::Surroundings& here, Watch& watch, Promotion& promotion);

}  // namespace lockstep::health
