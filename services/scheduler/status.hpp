// Status: what the scheduler knows of its site, at one glance (docs/protocol.md, `status`).
//
// Thread rule: the reactor's thread.
#pragma once

#include "services/scheduler/handlers.hpp"

namespace lockstep::scheduler {

Result<message::Body> status_body(const Parts& parts);

}  // namespace lockstep::scheduler
