// Restoring a version to a place where users can open it.
#pragma once

#include <string>

#include "common/component/target.hpp"
#include "common/components/sqlite/hold.hpp"

namespace lockstep::sqlite {

// See component::Target::restore. What is replaced is moved aside with its journal, as a database
// that can be opened: "<path>.aside-<run>", -wal, -shm and -journal beside it. A database that a
// process has open is not replaced. Errors: place-not-empty, guard, version-missing, source-read,
// no-space, permission, target-write, cancelled.
Result<component::Target::RestoreResult> restore_to(os::Disk& disk,
                                                    const component::Context& context,
                                                    const Native& version, const std::string& path,
                                                    bool replace);

}  // namespace lockstep::sqlite
