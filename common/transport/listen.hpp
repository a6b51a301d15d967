// Listening at an endpoint of lockstep.yaml without libzmq.
#pragma once

#include <string>

#include "common/error/error.hpp"
#include "common/os/fd.hpp"

namespace lockstep::transport {

// A socket that listens at `endpoint` (ipc://PATH; tcp://ADDRESS:PORT with a numeric address or *)
// and does not block. What lies at an ipc path is removed: call check_bindable() first.
// Error: transport.
Result<os::Fd> listen_at(const std::string& endpoint);

// Does not block, and is not inherited. Error: errno's text.
Result<os::Fd> connect_to_abstract(const std::string& name);

}  // namespace lockstep::transport
