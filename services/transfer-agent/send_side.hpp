// Sending one set: its pin is opened, its base looked up, and the stream does the rest.
#pragma once

#include "services/transfer-agent/agent.hpp"
#include "services/transfer-agent/book.hpp"
#include "services/transfer-agent/job.hpp"
#include "services/transfer-agent/record_store.hpp"

namespace lockstep::transfer {

// Blocks until the receiver has sealed the set. Errors: not-supported (no such component, or one
// that the stream cannot carry), version-missing, and those of stream::send_set. Thread rule: any
// thread.
Result<Transferred> send_one(const Agent& agent, Book& book, const RecordStore& records,
                             const LinkWhenReady& link, const Job& job, std::stop_token stop,
                             ProgressBoard& board);

}  // namespace lockstep::transfer
