// Live: a user's database, as a pin needs it: opened through SQLite, and touched outside SQLite
// only apart (common/os/apart.hpp), because closing it would drop the locks that hold its writers.
//
// We never checkpoint a user's database. It would not help (a clone takes the WAL with it), and
// SQLite before 3.51.3 can lose commits when two connections checkpoint at once.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "common/clock/clock.hpp"
#include "common/component/data_set.hpp"
#include "common/components/sqlite/database.hpp"
#include "common/components/sqlite/hold.hpp"
#include "common/os/disk.hpp"

namespace lockstep::sqlite {

// What a look at the path tells, without opening it.
struct Seen {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t bytes = 0;      // of the database
  std::uint64_t wal_bytes = 0;  // of its WAL, 0 where there is none
  Owner owner;
};

// Errors: set-missing, permission, not-supported (a symbolic link, a device).
Result<Seen> look_at(os::Disk& disk, const std::string& path);

// Opens the user's database and leaves beside it, when it is closed, what lay there before: where a
// WAL and its shared memory were there they stay as they are, else those that our opening made go.
Result<Database> open_live(os::Disk& disk, const std::string& path);

// Waits for SQLite's locks: asks again every 50 us, because between writers that commit without a
// pause the lock is free only for moments (SQLite's own back-off waits for seconds there).
std::function<bool()> patience(const Clock& clock, Nanos timeout, std::stop_token stop);

// Whether the journal is a WAL. Reads the database, and so finds out whether it is one.
Result<bool> uses_wal(Database& database);

// Writes out what the kernel still holds of database and WAL, so that a clone need not wait for it.
// Where the system forbids working apart nothing happens. Error: source-read.
Result<void> flush(os::Disk& disk, const std::string& path);

// Clones `path` (and, where there is one, its WAL) to `to` (and `to`-wal). The clone is of the file
// that `expected` was seen to be. Errors: not-supported (this file system, or this file, cannot be
// reflinked; or the system forbids working apart), pin-failed (another file lies there now),
// source-read, no-space, target-write.
Result<void> clone(os::Disk& disk, const std::string& path, const Seen& expected,
                   const std::string& to);

// What the kernel says of the write lock of this process: yes, no, or nothing where it cannot be
// asked. https://www.sqlite.org/walformat.html and fileformat2.html fix the places of the locks.
std::optional<bool> write_lock_stands(os::Disk& disk, const std::string& path, bool wal);

}  // namespace lockstep::sqlite
