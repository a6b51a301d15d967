// DiskVfs: lets SQLite keep its files on an os::Disk, so that a journal can be put on a disk that
// loses what was not synced, or is full.
//
// What SQLite's own VFS for Unix does about durability is done here too: a WAL or journal that it
// makes has its directory synced with its first own sync, a removal is followed by its directory's
// sync where SQLite asks for it, and overwriting is taken to leave the bytes beside it alone
// (SQLITE_IOCAP_POWERSAFE_OVERWRITE). There is no shared memory and no lock: one connection at a
// time, in EXCLUSIVE locking mode, as the journal's is. Files without a name (temporary ones) are
// left to the kernel.
//
// Thread rule: any thread, as far as the disk's.
#pragma once

#include <sqlite3.h>

#include <string>

#include "common/os/disk.hpp"

namespace lockstep::test {

class DiskVfs {
 public:
  // Registered under `name`, never as the default. Requires: no other VFS has that name.
  DiskVfs(os::Disk& disk, std::string name);
  // Requires: no connection uses it any more.
  ~DiskVfs();
  DiskVfs(const DiskVfs&) = delete;
  DiskVfs& operator=(const DiskVfs&) = delete;

  const std::string& name() const { return name_; }

 private:
  os::Disk& disk_;
  std::string name_;
  sqlite3_vfs vfs_{};
};

}  // namespace lockstep::test
