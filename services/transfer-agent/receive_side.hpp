// Receiving one set: its staging is made or gone on with, its base looked up, and the stream does
// the rest, up to the sealed version, which no record names yet.
#pragma once

#include "services/transfer-agent/agent.hpp"
#include "services/transfer-agent/book.hpp"
#include "services/transfer-agent/job.hpp"
#include "services/transfer-agent/record_store.hpp"

namespace lockstep::transfer {

// Blocks until the version is sealed. A staging of an earlier attempt of the run is gone on with
// (the caller has seen to it that nobody else is at work on it). Errors: not-supported, pin-dropped
// (the run has a tombstone here), base-lost (where the policy says so), and those of
// stream::receive_set. Thread rule: any thread; one at a time for one run and set.
Result<Transferred> receive_one(const Agent& agent, Book& book, const RecordStore& records,
                                const LinkWhenReady& link, const Job& job, std::stop_token stop,
                                ProgressBoard& board);

// The base as this side keeps it: by the book, else by the record of the point, else as it was
// pinned here. Errors: with `must_open` those of opening a pin that is there, which count as
// missing otherwise.
struct KeptBase {
  component::Version version;
  std::string manifest;
};
struct BaseHere {
  std::optional<KeptBase> kept;
  std::string missing;     // of what is not kept, in words
  bool never_was = false;  // what there is was never fit to be one: nothing that served was lost
};
Result<BaseHere> find_base(const Agent& agent, Book& book, const RecordStore& records,
                           const component::SetId& id, const std::string& run, bool must_open);

}  // namespace lockstep::transfer
