// What `lockstep inject` asks of a service before and after it plays a scenario: to write into its
// events that what comes meanwhile is made up.
#pragma once

#include "common/service/service.hpp"

namespace lockstep::service {

// Registers `injection.mark`. Refused (guard) unless this service's own file allows injection.
// Thread rule: the reactor's thread.
void take_injection_marks(Surroundings& here);

}  // namespace lockstep::service
