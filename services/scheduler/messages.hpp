// What the run logic asks for, as messages to agents (docs/protocol.md).
//
// Thread rule: pure functions.
#pragma once

#include <optional>
#include <string>

#include "common/message/envelope.hpp"
#include "common/transport/client.hpp"
#include "services/scheduler/origin.hpp"
#include "services/scheduler/run/step.hpp"

namespace lockstep::scheduler {

// Under what messages are given and certificates made.
struct Giver {
  message::Epoch epoch;
  std::string program;  // "lockstep 0.1.0"
};

struct Outgoing {
  std::string to;
  message::Envelope envelope;
  transport::RequestOptions options;
};

// Requires an ask of an agent, not of a hook. `base`: the newest good point of the service, on
// which the transfers of the sets that it has may build. The same state, ask and base give the same
// body: a repeat is a repeat.
Outgoing message_for(const Origin& origin, const run::State& state, const run::Ask& ask,
                     const Giver& giver, const std::optional<message::Body>& base);

// Of a run whose transfer is done (docs/point-format.md, "The certificate").
message::Body certificate_body(const Origin& origin, const run::State& state, const Giver& giver);

// Of a run that was sealed: the row of the catalog.
message::Body point_body(const run::State& state);

const char* mode_name(run::Mode mode);
const char* consistency_name(run::Consistency consistency);

}  // namespace lockstep::scheduler
