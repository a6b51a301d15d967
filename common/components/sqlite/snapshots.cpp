#include "common/components/sqlite/snapshots.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "common/components/sqlite/armed.hpp"
#include "common/components/sqlite/settle.hpp"
#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"

namespace lockstep::sqlite {

using component::Context;
using component::DataSet;
using component::Estimate;
using component::Version;
using files::Area;

namespace {

constexpr const char* kRemedies =
    "put the database into WAL mode (PRAGMA journal_mode = WAL), move it to btrfs or XFS with "
    "reflinks, or set allow_writer_stall: true and let its writers wait while it is copied";

// How long an exclusive writer may keep us waiting at arm; one in its ordinary commit takes less.
constexpr Nanos kArmPatience = seconds(2);

// Clones the database as the pin will, measures, and removes the clone. Nothing: cannot be cloned.
Result<std::optional<Nanos>> try_clone(const component::Surroundings& at, const std::string& path,
                                       const Seen& seen, const std::string& hold) {
  LOCKSTEP_CHECK(os::make_directories(at.disk, hold));
  const MonoNanos begin = at.clock.mono();
  auto cloned = clone(at.disk, path, seen, hold + "/" + kProbe);
  const Nanos took = at.clock.mono() - begin;
  os::failpoint("sqlite.arm.probed");
  LOCKSTEP_CHECK(one_file::remove_hold(at.disk, kHeld, hold));
  if (cloned) return std::optional<Nanos>(took);
  if (cloned.error().code == ErrorCode::not_supported) return std::optional<Nanos>();
  return cloned.error();
}

// Of a pin by reflink: its WAL stays as it is when others write theirs anew, and is written back,
// which no page of the database is twice, however long a WAL that once grew is.
std::uint64_t needed_by_reflink(const Seen& seen, std::uint64_t pages_bytes) {
  return seen.wal_bytes + std::min(seen.wal_bytes, pages_bytes);
}

Result<void> check_room(os::Disk& disk, const std::string& store, std::uint64_t needed) {
  constexpr std::uint64_t kMargin = 1U << 20U;
  auto opened = disk.open(os::kCwd, store, O_RDONLY | O_DIRECTORY);
  if (!opened) return os::write_error(opened.error(), "open", store);
  auto space = disk.space(opened->get());
  if (!space) return os::write_error(space.error(), "look at the free space of", store);
  if (space->free_bytes >= needed + kMargin) return {};
  return make_error(ErrorCode::no_space,
                    std::to_string(needed + kMargin) + " bytes are needed to pin, " +
                        std::to_string(space->free_bytes) + " are free",
                    store);
}

class SqliteSnapshots final : public component::Snapshots {
 public:
  explicit SqliteSnapshots(const component::Surroundings& surroundings) : at_(surroundings) {}

  Result<std::unique_ptr<component::Armed>> arm(const Context& context, const DataSet& set,
                                                UtcNanos /*moment*/) override {
    const std::string& path = set.place.location;
    LOCKSTEP_CHECK(check_location(path));
    ArmedDatabase::Found found;
    found.context = context;
    found.set = set;
    LOCKSTEP_TRY(found.seen, look_at(at_.disk, path));
    LOCKSTEP_TRY(Database database, open_checked(path, context));
    LOCKSTEP_TRY(found.wal, uses_wal(database));
    LOCKSTEP_TRY(const std::int64_t page_size, database.number("PRAGMA page_size"));
    found.page_size = static_cast<std::uint32_t>(page_size);
    LOCKSTEP_TRY(const std::string store, files::open_store(at_.disk, path));
    found.hold = one_file::hold_path(store, Area::pins, set.id, context.run);
    if (os::exists(at_.disk, found.hold)) {
      return make_error(ErrorCode::arm_refused, "a pin of this run is in the store", found.hold);
    }
    std::uint64_t pages_bytes = found.seen.bytes;
    if (found.wal) {  // what is in it may be more pages; to count them waits for no writer
      LOCKSTEP_TRY(const std::int64_t pages, database.number("PRAGMA page_count"));
      pages_bytes = static_cast<std::uint64_t>(pages) * found.page_size;
    }
    LOCKSTEP_TRY(found.estimate, estimate(store, found, pages_bytes));
    return std::unique_ptr<component::Armed>(
        std::make_unique<ArmedDatabase>(at_, std::move(found), std::move(database)));
  }

  Result<std::optional<Version>> find(const Context& context, const DataSet& set) override {
    for (const auto& store : files::existing_stores(at_.disk, set.place.location)) {
      const std::string hold = one_file::hold_path(store, Area::pins, set.id, context.run);
      if (os::exists(at_.disk, hold)) {
        return std::optional<Version>(version_in(at_.disk, hold, set.id, context.run));
      }
    }
    return std::optional<Version>();
  }

  Result<std::vector<Version>> list(const DataSet& set) override {
    return holds_of(at_.disk, set, Area::pins);
  }

  Result<void> drop(const Context& /*context*/, const Version& version) override {
    LOCKSTEP_TRY(const Native native, native_of(version));
    LOCKSTEP_CHECK(check_hold(native, version));
    return one_file::remove_hold(at_.disk, kHeld, native.hold);
  }

 private:
  Result<Database> open_checked(const std::string& path, const Context& context) {
    LOCKSTEP_TRY(Database database, open_live(at_.disk, path));
    database.on_busy(patience(at_.clock, kArmPatience, context.stop));
    // The first read rolls back what a crashed writer left half-way, as for any other user.
    if (auto read = uses_wal(database); !read) {
      if (read.error().code == ErrorCode::sqlite_busy) {
        return make_error(ErrorCode::sqlite_busy,
                          "a process holds the database exclusively (PRAGMA locking_mode = "
                          "EXCLUSIVE, or one long transaction)",
                          path, "let that process use the normal locking mode");
      }
      if (read.error().code == ErrorCode::sqlite_not_a_database) {
        return make_error(ErrorCode::sqlite_not_a_database,
                          "this is not an SQLite database, or an encrypted one", path);
      }
      return read.error();
    }
    if (database.read_only()) {
      return make_error(ErrorCode::permission,
                        "the write lock needs write permission on the database and its directory",
                        path);
    }
    return database;
  }

  // `pages_bytes`: of the database with what its WAL adds.
  Result<Estimate> estimate(const std::string& store, const ArmedDatabase::Found& found,
                            std::uint64_t pages_bytes) {
    const std::string& path = found.set.place.location;
    Estimate out;
    out.has_own_fence = true;
    LOCKSTEP_CHECK(flush(at_.disk, path));
    LOCKSTEP_TRY(const std::optional<Nanos> cloning, try_clone(at_, path, found.seen, found.hold));
    if (cloning) {
      out.method = kByReflink;
      out.pin = Nanos{2 * cloning->count} + milliseconds(2);
      LOCKSTEP_CHECK(check_room(at_.disk, store, needed_by_reflink(found.seen, pages_bytes)));
    } else if (found.wal || found.set.allow_writer_stall) {
      out.method = kByReading;
      out.pin = milliseconds(5);
      LOCKSTEP_CHECK(check_room(at_.disk, store, pages_bytes));  // the copy has no WAL
    } else {
      return make_error(ErrorCode::not_supported,
                        "a database with a rollback journal, on a file system without reflinks, "
                        "cannot be pinned without holding up its writers",
                        path, kRemedies);
    }
    if (out.pin > found.set.fence_timeout) {
      return make_error(ErrorCode::fence_too_long,
                        "cloning the database takes about " + to_duration(out.pin) +
                            ", its fence may stand " + to_duration(found.set.fence_timeout),
                        path,
                        "raise the fence's timeout, or defragment the database's file (`VACUUM`)");
    }
    return out;
  }

  component::Surroundings at_;
};

}  // namespace

std::unique_ptr<component::Snapshots> make_snapshots(const component::Surroundings& surroundings) {
  return std::make_unique<SqliteSnapshots>(surroundings);
}

}  // namespace lockstep::sqlite
