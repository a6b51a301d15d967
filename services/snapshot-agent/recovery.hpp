// Recovery: what an agent does at its start, before it hears anybody: undoes the fences that its
// journal still lists, drops what was pinned and not committed, and everything in the stores that
// no hold names.
#pragma once

#include "services/snapshot-agent/tools.hpp"

namespace lockstep::snapshot {

// Errors of single fences and versions are logged and tried again by try_again(); only those of the
// journal are returned.
Result<void> recover(const Tools& tools);

// Drops what an earlier drop could not remove, and what a store made of a run after it was over,
// for a quarter of an hour. Thread rule: beside what is at work for other runs.
Result<void> try_again(const Tools& tools);

}  // namespace lockstep::snapshot
