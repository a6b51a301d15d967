// What `lockstep doctor` finds out about this host.
#pragma once

#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

// {version, ok, findings: [{about, health: good|warning|bad, what, hint}]}. Errors: usage,
// config-*.
Result<Body> examine(const Options& options);

}  // namespace lockstep::cli
