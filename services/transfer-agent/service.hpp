// The transfer-agent as a whole: its parts put together, recovered, and given their messages.
#pragma once

#include <memory>

#include "common/service/service.hpp"

namespace lockstep::transfer {

// What service::run lets live. Errors: those of recovering (the world could not be looked at), of
// the bulk socket, of the signing key.
Result<std::shared_ptr<void>> set_up(service::Surroundings& here);

}  // namespace lockstep::transfer
