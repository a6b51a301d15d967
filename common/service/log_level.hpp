// `log.level`: how much a service logs, changed while it runs, until it ends.
#pragma once

#include "common/service/service.hpp"

namespace lockstep::service {

// Thread rule: the reactor's thread.
void take_log_level(Surroundings& here);

}  // namespace lockstep::service
