// A run's records as journal rows, and back.
//
// Thread rule: pure functions.
#pragma once

#include "common/error/error.hpp"
#include "common/message/envelope.hpp"
#include "services/scheduler/run/state.hpp"

namespace lockstep::scheduler {

message::Body record_to_body(const run::Record& record);
// Error: journal-corrupt, where the row is not one that record_to_body made.
Result<run::Record> record_from_body(run::Instant at, const message::Body& body);

// The plan, which stands in the journal as it was made.
message::Body plan_to_body(const run::Plan& plan);
Result<run::Plan> plan_from_body(const message::Body& body);

}  // namespace lockstep::scheduler
