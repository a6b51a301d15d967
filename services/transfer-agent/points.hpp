// Points read: listed, one record, the entries of a set, verified.
//
// Thread rule: any thread.
#pragma once

#include <stop_token>

#include "services/transfer-agent/agent.hpp"
#include "services/transfer-agent/book.hpp"
#include "services/transfer-agent/job.hpp"
#include "services/transfer-agent/record_store.hpp"

namespace lockstep::transfer {

// Each takes the body of its message and gives the body of its `done`.
Result<message::Body> list_points(Book& book, const RecordStore& records,
                                  const message::Body& request);
Result<message::Body> read_point(const RecordStore& records, const message::Body& request);
Result<message::Body> list_entries(const Agent& agent, const RecordStore& records,
                                   const message::Body& request);

// A part of the user data that the point holds, from `offset` on: password hashes stand in it, so
// the reply is for the scheduler alone and is stored nowhere. Errors: point-missing, point-damaged
// (the record), not-found (the point holds none), source-read.
Result<message::Body> read_user_data(const Agent& agent, const RecordStore& records,
                                     const message::Body& request);

// Re-reads every set (or a sample of its files) and holds it against manifest, root, record and
// signature; what is wrong stands in `problems`, a check that could not be made included. The
// outcome is kept and told as an event.
Result<message::Body> verify_point(const Agent& agent, const RecordStore& records,
                                   const message::Body& request, std::stop_token stop,
                                   ProgressBoard& board);

}  // namespace lockstep::transfer
