#include "common/components/sqlite/armed.hpp"

#include "common/components/sqlite/settle.hpp"
#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"

namespace lockstep::sqlite {

using component::Context;
using component::FenceEnd;
using component::Pinned;
using component::Version;

ArmedDatabase::ArmedDatabase(const component::Surroundings& surroundings, Found found,
                             Database database)
    : surroundings_(surroundings),
      found_(std::move(found)),
      fence_(surroundings.disk, surroundings.clock, std::move(database), found_.wal,
             found_.set.fence_timeout, found_.context.stop) {}

Version ArmedDatabase::version() const {
  const Native native{found_.hold + "/" + kDatabase, found_.hold, found_.page_size,
                      found_.seen.owner};
  return Version{found_.set.id, kKind, found_.context.run, to_text(native)};
}

// Owner and mode may have changed since arming, and are part of the content.
Result<void> ArmedDatabase::still_there() const {
  auto now = look_at(surroundings_.disk, path());
  if (!now) {
    return make_error(ErrorCode::pin_failed, "the database is gone since it was armed", path());
  }
  if (now->inode != found_.seen.inode || now->device != found_.seen.device) {
    return make_error(ErrorCode::pin_failed,
                      "another file lies where the database was when it was armed", path());
  }
  return {};
}

Result<Interval> ArmedDatabase::raise_fence(Nanos timeout) {
  LOCKSTEP_CHECK(still_there());
  // What the kernel still has to write is written before anybody waits for us.
  LOCKSTEP_CHECK(flush(surroundings_.disk, path()));
  auto raised = fence_.raise(timeout);
  os::failpoint("sqlite.fence.raised");
  return raised;
}

Result<Pinned> ArmedDatabase::pin() {
  if (pinned_) {
    return make_error(ErrorCode::pin_failed, "this run has pinned the database already", path());
  }
  LOCKSTEP_CHECK(still_there());
  LOCKSTEP_TRY(const Interval interval, by_reflink() ? pin_by_reflink() : pin_by_reading());
  pinned_ = true;
  Pinned out;
  out.version = version();
  out.interval = interval;
  out.durable = by_reflink();
  out.one_instant = true;
  out.method = found_.estimate.method;
  if (reading_stalls_) {
    out.caveats.emplace_back(
        "the database has a rollback journal and its file system no reflinks: its writers could "
        "not commit from the pin until it was copied");
  }
  return out;
}

Result<Interval> ArmedDatabase::pin_by_reflink() {
  os::Disk& disk = surroundings_.disk;
  if (os::exists(disk, found_.hold)) {
    return make_error(ErrorCode::pin_failed, "a pin of this run is in the store", found_.hold);
  }
  LOCKSTEP_CHECK(os::make_directories(disk, found_.hold));
  os::failpoint("sqlite.pin.begin");
  const auto act = [&]() -> Result<Interval> {
    const bool own = !fence_.raised();
    if (own) {
      LOCKSTEP_CHECK(flush(disk, path()));
      LOCKSTEP_CHECK(fence_.raise(found_.set.fence_timeout));
    }
    // The content is that of any instant in which the lock is held: nobody else can commit. The
    // WAL's frames stay as they are too, for starting the WAL anew needs the same lock. What a
    // checkpoint of others writes into the database meanwhile is in the WAL as well.
    Interval out;
    auto seen = look_at(disk, path());
    if (seen) found_.seen.owner = seen->owner;
    out.requested = surroundings_.clock.utc();
    auto cloned = clone(disk, path(), found_.seen, found_.hold + "/" + kClone);
    out.acknowledged = surroundings_.clock.utc();
    os::failpoint("sqlite.pin.cloned");
    if (own) {
      const FenceEnd end = fence_.lower();
      LOCKSTEP_CHECK(std::move(cloned));
      if (!end.held) {
        return make_error(ErrorCode::pin_failed, "the write lock was lost: " + end.detail, path());
      }
      return out;
    }
    LOCKSTEP_CHECK(std::move(cloned));
    if (!fence_.stands()) {
      return make_error(ErrorCode::pin_failed, "the fence fell while the database was pinned",
                        path());
    }
    return out;
  };
  auto done = act();
  if (!done) {
    // The reason is the caller's; a hold that cannot be removed is found by find().
    static_cast<void>(one_file::remove_hold(disk, kHeld, found_.hold));
  }
  return done;
}

Result<Interval> ArmedDatabase::pin_by_reading() {
  const Clock& clock = surroundings_.clock;
  LOCKSTEP_TRY(Database reader, open_live(surroundings_.disk, path()));
  LOCKSTEP_TRY(const bool wal, uses_wal(reader));
  if (!wal && !found_.set.allow_writer_stall) {
    return make_error(ErrorCode::pin_failed,
                      "the database left its WAL since it was armed; reading it out would hold up "
                      "its writers",
                      path());
  }
  if (fence_.raised() && !fence_.stands()) {
    return make_error(ErrorCode::pin_failed, "the fence fell before the database was pinned",
                      path());
  }
  if (auto seen = look_at(surroundings_.disk, path())) found_.seen.owner = seen->owner;
  const auto wait = patience(clock, found_.set.fence_timeout, found_.context.stop);
  for (;;) {
    // No busy handler: a wait inside the statement would widen the interval.
    Interval out;
    out.requested = clock.utc();
    // BEGIN alone fixes nothing; the first read does.
    LOCKSTEP_CHECK(reader.run("BEGIN"));
    auto read = reader.number("SELECT count(*) FROM sqlite_schema");
    out.acknowledged = clock.utc();
    if (read) {
      if (fence_.raised() && !fence_.stands()) {
        return make_error(ErrorCode::pin_failed, "the fence fell while the database was pinned",
                          path());
      }
      reader_.emplace(std::move(reader));
      reading_stalls_ = !wal;
      return out;
    }
    if (reader.in_transaction()) LOCKSTEP_CHECK(reader.run("ROLLBACK"));
    if (read.error().code != ErrorCode::sqlite_busy || !wait()) return read.error();
  }
}

Result<FenceEnd> ArmedDatabase::lower_fence() { return fence_.lower(); }

Result<Version> ArmedDatabase::settle(const Context& context) {
  if (!pinned_) return make_error(ErrorCode::pin_lost, "nothing is pinned", path());
  os::Disk& disk = surroundings_.disk;
  Result<void> done;
  if (os::exists(disk, found_.hold + "/" + kDatabase)) {
    // settled before
  } else if (by_reflink()) {
    done = settle_clone(disk, found_.hold, found_.seen.owner);
  } else if (reader_) {
    done = copy_out(disk, *reader_, found_.hold, found_.seen.owner, context);
  } else {
    done = make_error(ErrorCode::pin_lost, "the read transaction of the pin ended", path());
  }
  reader_.reset();
  if (!done) {
    static_cast<void>(one_file::remove_hold(disk, kHeld, found_.hold));
    return done.error();
  }
  return version();
}

}  // namespace lockstep::sqlite
