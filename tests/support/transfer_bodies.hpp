// The bodies of messages to transfer-agents, as the scheduler makes them for a service "orders"
// between the clusters "north" and "south".
#pragma once

#include <string>
#include <vector>

#include "common/message/envelope.hpp"

namespace lockstep::test {

using message::Body;

// A data set of kind "files" or "sqlite", without a version.
Body set_body(const std::string& name, const std::string& kind, const std::string& from,
              const std::string& to);

// Of instruction.push and .pull; every set with its version.
Body instruction_body(UtcNanos moment, const std::string& peer, std::uint64_t bandwidth,
                      Nanos stall, const Body& sets);

// Of point.seal. `transferred`: what the instruction answered, its sets in the order of `sets`.
Body seal_body(const std::string& run, const message::Epoch& epoch, UtcNanos now,
               const std::vector<Body>& sets, const Body& transferred);

}  // namespace lockstep::test
