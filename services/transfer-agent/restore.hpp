// Restoring a point's sets: beneath a new place, or in place with a guard.
//
// Thread rule: any thread.
#pragma once

#include <stop_token>

#include "services/transfer-agent/agent.hpp"
#include "services/transfer-agent/job.hpp"
#include "services/transfer-agent/record_store.hpp"

namespace lockstep::transfer {

// Where a set of the record is given back.
struct RestorePlace {
  component::Place place;
  std::string set;
};

// The places, decided without looking at any disk: `<to>/<set>` each, or the set's own place in the
// cluster `cluster` by the certificate. Errors: usage (neither or both were asked for, `to` is not
// absolute), not-found (a set that the point has not), guard (in place without `replace`),
// target-overlaps (into what Lockstep itself keeps under `root`).
Result<std::vector<RestorePlace>> restore_places(const message::Body& record,
                                                 const message::Body& request,
                                                 const std::string& cluster,
                                                 const std::string& root);

// The body of point.restore.done. Sets are restored one after the other; what an error ends stays
// as far as it had come, and the error says which set it was. A message that is repeated, because
// the process died before it answered, goes on after the sets that it had restored.
Result<message::Body> restore_point(const Agent& agent, const RecordStore& records,
                                    const message::Envelope& asked, std::stop_token stop,
                                    ProgressBoard& board);

}  // namespace lockstep::transfer
