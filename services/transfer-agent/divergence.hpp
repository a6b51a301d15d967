// Divergence: what a superseded primary has that no recovery point has. A pin of its data sets is
// held against the newest point that this side had sent.
//
// Thread rule: any thread.
#pragma once

#include <stop_token>

#include "services/transfer-agent/agent.hpp"
#include "services/transfer-agent/book.hpp"
#include "services/transfer-agent/job.hpp"

namespace lockstep::transfer {

// The body of divergence.list.done: of each set the path of its pin, how many entries were written
// (made, or changed) and how many removed since the base, and the first of them by name. A set
// whose base is not known here any more counts as written throughout (`base` is missing). Errors:
// version-missing, source-*, cancelled.
Result<message::Body> list_divergence(const Agent& agent, Book& book, const message::Body& request,
                                      std::stop_token stop, ProgressBoard& board);

}  // namespace lockstep::transfer
