// Places: where this agent ever pinned something, remembered beside its journal: a journal that is
// damaged and set aside (docs/journal.md) must not take with it the knowledge of where pins lie,
// for no snapshot is without a hold.
//
// `<state>/places/<service>.<set>`, MessagePack, written durably before anything is pinned there.
// Thread rule: any thread; one at a time for one service.
#pragma once

#include <vector>

#include "services/snapshot-agent/book.hpp"
#include "services/snapshot-agent/tools.hpp"

namespace lockstep::snapshot {

// Errors: target-write, permission, no-space.
Result<void> remember_places(const Tools& tools, const std::vector<OwnSet>& sets);

// All that are remembered; a file that cannot be read is logged and passed over.
Result<std::vector<MemberRow>> remembered_places(const Tools& tools);

}  // namespace lockstep::snapshot
