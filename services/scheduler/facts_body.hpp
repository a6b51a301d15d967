// Replies of agents as facts of the run logic, and facts as they are journaled: both in the words
// of docs/protocol.md, so that a journaled answer reads like the message it came from.
//
// Thread rule: pure functions.
#pragma once

#include "common/error/error.hpp"
#include "common/message/envelope.hpp"
#include "services/scheduler/run/state.hpp"

namespace lockstep::scheduler {

// The body of `done` that answered `act`. Error: message-schema.
Result<run::Facts> facts_from_body(run::Act act, const message::Body& body);
message::Body facts_to_body(const run::Facts& facts);

run::Failure failure_from_error(const Error& error, bool reached);
Error error_from_failure(const run::Failure& failure);

run::HostClock clock_from_body(const message::Body& body);
message::Body interval_body(const run::Interval& interval);
message::Body version_body(const run::Version& version);
message::Body users_body(const run::UserCapture& users);

}  // namespace lockstep::scheduler
