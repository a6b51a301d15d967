// Fence: SQLite's write lock, held for a time that has an end.
//
// While it stands no other connection commits. It falls by release, by its time-out (a watch of its
// own rolls back, whatever its user is doing), or with the process: the kernel lets the locks go.
//
// Thread rule: one thread at a time; the watch is inside.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "common/component/snapshots.hpp"
#include "common/components/sqlite/live.hpp"

namespace lockstep::sqlite {

class Fence {
 public:
  // Takes over a connection that is in no transaction. `standing` is the longest time that the
  // fence may stand.
  Fence(os::Disk& disk, const Clock& clock, Database database, bool wal, Nanos standing,
        std::stop_token stop);
  ~Fence();
  Fence(const Fence&) = delete;
  Fence& operator=(const Fence&) = delete;

  // Waits at most `timeout` for the lock. Errors: sqlite-busy, fence-failed (the database was moved
  // away, or the fence stands already), permission, source-read.
  Result<Interval> raise(Nanos timeout);

  // True from a successful raise() until the lock is gone, for whatever reason.
  bool stands();

  // Lets the lock go. `held` needs: the transaction is still open, the file is still the one that
  // was locked, and the kernel (where it can be asked) knows the lock as this process's.
  component::FenceEnd lower();

  bool raised() const { return raised_; }

 private:
  void watch(const std::stop_token& stop, MonoNanos end);

  os::Disk& disk_;
  const Clock& clock_;
  const bool wal_;
  const Nanos standing_;
  const std::stop_token stop_;
  std::mutex mutex_;  // the watch and the user share the connection
  Database database_;
  bool raised_ = false;
  bool timed_out_ = false;
  std::jthread watch_;  // last: stopped before what it uses goes
};

}  // namespace lockstep::sqlite
