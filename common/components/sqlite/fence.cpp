#include "common/components/sqlite/fence.hpp"

namespace lockstep::sqlite {

Fence::Fence(os::Disk& disk, const Clock& clock, Database database, bool wal, Nanos standing,
             std::stop_token stop)
    : disk_(disk),
      clock_(clock),
      wal_(wal),
      standing_(standing),
      stop_(std::move(stop)),
      database_(std::move(database)) {}

Fence::~Fence() {
  if (raised_) static_cast<void>(lower());
}

Result<Interval> Fence::raise(Nanos timeout) {
  if (raised_) {
    return make_error(ErrorCode::fence_failed, "the fence stands already", database_.path());
  }
  Interval act;
  {
    const std::lock_guard guard(mutex_);
    act.requested = clock_.utc();
    database_.on_busy(patience(clock_, timeout, stop_));
    LOCKSTEP_CHECK(database_.run("BEGIN IMMEDIATE"));
    act.acknowledged = clock_.utc();
    if (database_.moved()) {
      LOCKSTEP_CHECK(database_.run("ROLLBACK"));
      return make_error(ErrorCode::fence_failed, "the database was moved or removed",
                        database_.path());
    }
    raised_ = true;
    timed_out_ = false;
  }
  watch_ = std::jthread(
      [this, end = clock_.mono() + standing_](const std::stop_token& stop) { watch(stop, end); });
  return act;
}

void Fence::watch(const std::stop_token& stop, MonoNanos end) {
  for (;;) {
    const Nanos left = end - clock_.mono();
    if (left.count <= 0) break;
    if (clock_.wait_for(left, stop) == Clock::Wake::stopped) return;
  }
  const std::lock_guard guard(mutex_);
  if (!stop.stop_requested() && database_.in_transaction()) {
    timed_out_ = true;
    static_cast<void>(database_.run("ROLLBACK"));  // lower() tells that it fell
  }
}

bool Fence::stands() {
  const std::lock_guard guard(mutex_);
  return raised_ && !timed_out_ && database_.in_transaction();
}

component::FenceEnd Fence::lower() {
  component::FenceEnd end;
  {
    const std::lock_guard guard(mutex_);
    end.held = raised_ && database_.in_transaction();
    if (!raised_) {
      end.detail = "it was never raised";
    } else if (timed_out_) {
      end.detail = "it fell by its time-out";
    } else if (!end.held) {
      end.detail = "SQLite rolled the transaction back";
    } else if (database_.moved()) {
      end.held = false;
      end.detail = "the database was moved or removed while it stood";
    } else if (write_lock_stands(disk_, database_.path(), wal_) == false) {
      end.held = false;
      end.detail = "the kernel no longer knows the lock";
    }
    end.lowered.requested = clock_.utc();
    if (database_.in_transaction()) {
      if (auto done = database_.run("ROLLBACK"); !done) {
        // The transaction ends with the connection; whether it ended before is not known.
        end.held = false;
        end.detail = done.error().text();
      }
    }
    end.lowered.acknowledged = clock_.utc();
    raised_ = false;
  }
  watch_.request_stop();
  if (watch_.joinable()) watch_.join();
  return end;
}

}  // namespace lockstep::sqlite
