// Activation: the sets of a point become live at their places in this cluster, by the word of a
// promotion (docs/operations.md).
//
// For each set: the version is given back beside its place, durable, under a name of the promotion;
// then, the epoch being held, what was at the place is moved aside and the copy is renamed to it.
// What was done is seen in the names themselves, so that the process may die anywhere and the same
// message, sent again, comes to the same end; what was moved aside is never removed.
//
// Thread rule: any thread.
#pragma once

#include <stop_token>

#include "services/transfer-agent/agent.hpp"
#include "services/transfer-agent/epoch.hpp"
#include "services/transfer-agent/job.hpp"
#include "services/transfer-agent/record_store.hpp"
#include "services/transfer-agent/store_watch.hpp"

namespace lockstep::transfer {

// The journal's table; a migration.
extern const char* const kActivationTable;

// The body of point.activate.done. Errors: point-missing, epoch-old, not-found (the certificate
// names no place of a set here), no-space, guard (somebody has the database open).
Result<message::Body> activate_point(const Agent& agent, const RecordStore& records,
                                     EpochKeeper& epochs, const message::Envelope& envelope,
                                     std::stop_token stop, ProgressBoard& board);

// Whether the cluster's root may be written, each store of it is in health, and each of the sets
// named that is in no store in trouble. The body of cluster.health.done.
Result<message::Body> look_at_health(const Agent& agent, StoreWatch& watch,
                                     const message::Body& request);

}  // namespace lockstep::transfer
