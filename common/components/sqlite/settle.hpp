// From what a pin holds to one database file: the second half of a pin, after the fence fell.
// Nothing here touches the user's database but through a read transaction that stands already.
#pragma once

#include <string>

#include "common/components/sqlite/database.hpp"
#include "common/components/sqlite/hold.hpp"

namespace lockstep::sqlite {

// Turns hold/clone and hold/clone-wal into hold/database, durably. Done again, or done half before:
// it ends in the same. Errors: version-missing, no-space, target-write, permission,
// sqlite-integrity.
Result<void> settle_clone(os::Disk& disk, const std::string& hold, const Owner& owner);

// Copies what the open read transaction of `reader` shows, page by page, to hold/database, durably.
// Errors: pin-lost (the transaction is gone), source-read, no-space, target-write, cancelled.
Result<void> copy_out(os::Disk& disk, Database& reader, const std::string& hold, const Owner& owner,
                      const component::Context& context);

}  // namespace lockstep::sqlite
