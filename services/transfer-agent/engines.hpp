// Engines: who carries the content of a set, where the policy names one
// (`engine`, docs/policy.md).
//
// Thread rule: functions share nothing but the agent.
#pragma once

#include <string>

#include "common/stream/send.hpp"
#include "services/transfer-agent/agent.hpp"
#include "services/transfer-agent/job.hpp"

namespace lockstep::transfer {

// Has the engine bring the set's content to where the receiver says; nothing where that is not this
// agent's part. All that is handed in outlives what is returned.
stream::Carry engine_for(const Agent& agent, const Job& job, const std::string& kind,
                         ProgressBoard& board);

// Ends what an engine has under way for a run that is dropped. What cannot be ended now is told to
// the log: the set's next transfer ends it before it begins.
void call_off_engines(const Agent& agent, const std::string& service, const std::string& run,
                      const message::Body& sets);

}  // namespace lockstep::transfer
