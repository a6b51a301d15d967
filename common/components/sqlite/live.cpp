#include "common/components/sqlite/live.hpp"

#include <fcntl.h>

#include <cerrno>

#include "common/os/apart.hpp"
#include "common/os/durable.hpp"

namespace lockstep::sqlite {

namespace {

Error source_error(int number, std::string_view act, const std::string& where) {
  ErrorCode code = ErrorCode::source_read;
  if (number == EACCES || number == EPERM) code = ErrorCode::permission;
  if (number == ENOENT) code = ErrorCode::set_missing;
  return from_errno(code, number, act, where);
}

}  // namespace

Result<Seen> look_at(os::Disk& disk, const std::string& path) {
  auto seen = disk.stat_at(os::kCwd, path);
  if (!seen) return source_error(seen.error().number, "find the database", path);
  if (!S_ISREG(seen->st_mode)) {
    return make_error(ErrorCode::not_supported, "the database is not a regular file", path,
                      "name the database file itself, not a link or a directory");
  }
  Seen out;
  out.device = seen->st_dev;
  out.inode = seen->st_ino;
  out.bytes = static_cast<std::uint64_t>(seen->st_size);
  out.owner = owner_of(*seen);
  if (auto wal = disk.stat_at(os::kCwd, path + "-wal")) {
    out.wal_bytes = static_cast<std::uint64_t>(wal->st_size);
  }
  return out;
}

Result<Database> open_live(os::Disk& disk, const std::string& path) {
  const bool keep = os::exists(disk, path + "-wal") && os::exists(disk, path + "-shm");
  return Database::open(path, keep ? Opening::live_keep : Opening::live, ErrorCode::source_read);
}

std::function<bool()> patience(const Clock& clock, Nanos timeout, std::stop_token stop) {
  static constexpr Nanos kAgain{50'000};
  const MonoNanos end = clock.mono() + timeout;
  return [&clock, end, stop = std::move(stop)] {
    if (clock.mono() >= end) return false;
    return clock.wait_for(kAgain, stop) != Clock::Wake::stopped;
  };
}

Result<bool> uses_wal(Database& database) {
  LOCKSTEP_CHECK(database.number("PRAGMA schema_version"));
  LOCKSTEP_TRY(const std::string mode, database.text("PRAGMA journal_mode"));
  return mode == "wal";
}

namespace {

// Sys<void> of an optional file: one that is not there is well.
os::Sys<void> sync_file(os::Disk& disk, const std::string& path) {
  auto file = disk.open(os::kCwd, path, O_RDONLY);
  if (!file && file.error().number == ENOENT) return {};
  if (!file) return file.error();
  return disk.fdatasync(file->get());
}

}  // namespace

Result<void> flush(os::Disk& disk, const std::string& path) {
  os::Sys<void> synced;
  auto ran = os::run_apart([&] {
    synced = sync_file(disk, path + "-wal");
    if (synced) synced = sync_file(disk, path);
  });
  if (ran && !synced) return source_error(synced.error().number, "flush the database", path);
  return {};
}

namespace {

// The two files of a database, opened for cloning; only within run_apart.
Result<void> clone_file(os::Disk& disk, os::Fd from, const std::string& path,
                        const std::string& to) {
  auto into = disk.open(os::kCwd, to, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (!into) return os::write_error(into.error(), "make the clone", to);
  if (auto done = disk.reflink(into->get(), from.get()); !done) {
    const int number = done.error().number;
    switch (number) {
      case EIO:
        return from_errno(ErrorCode::source_read, number, "clone", path);
      case ENOSPC:
      case EDQUOT:
        return os::write_error(os::Errno{number}, "clone to", to);
      default:  // EOPNOTSUPP, EXDEV, EINVAL (no copy on write here), ETXTBSY (a swap file), ...
        return from_errno(ErrorCode::not_supported, number, "clone", path);
    }
  }
  return {};
}

Result<void> clone_pair(os::Disk& disk, const std::string& path, const Seen& expected,
                        const std::string& to) {
  auto from = disk.open(os::kCwd, path, O_RDONLY);
  if (!from && from.error().number == ENOENT) {
    return make_error(ErrorCode::pin_failed, "the database is gone", path);
  }
  if (!from) return source_error(from.error().number, "open the database", path);
  auto seen = disk.stat(from->get());
  if (!seen) return source_error(seen.error().number, "look at the database", path);
  if (seen->st_ino != expected.inode || seen->st_dev != expected.device) {
    return make_error(ErrorCode::pin_failed, "another file lies where the database was", path);
  }
  LOCKSTEP_CHECK(clone_file(disk, std::move(*from), path, to));
  auto wal = disk.open(os::kCwd, path + "-wal", O_RDONLY);
  if (!wal && wal.error().number == ENOENT) return {};
  if (!wal) return source_error(wal.error().number, "open the WAL", path + "-wal");
  return clone_file(disk, std::move(*wal), path + "-wal", to + "-wal");
}

}  // namespace

Result<void> clone(os::Disk& disk, const std::string& path, const Seen& expected,
                   const std::string& to) {
  Result<void> cloned;
  auto ran = os::run_apart([&] { cloned = clone_pair(disk, path, expected, to); });
  if (!ran) {
    return from_errno(ErrorCode::not_supported, ran.error().number,
                      "work with descriptors of its own on", path);
  }
  return cloned;
}

std::optional<bool> write_lock_stands(os::Disk& disk, const std::string& path, bool wal) {
  constexpr std::uint64_t kWalWriteLock = 120;         // in the -shm file: WAL_WRITE_LOCK
  constexpr std::uint64_t kReservedByte = 0x40000001;  // in the database: RESERVED
  std::optional<bool> stands;
  auto ran = os::run_apart([&] {
    auto file = disk.open(os::kCwd, wal ? path + "-shm" : path, O_RDONLY);
    if (!file) return;
    auto locked = os::locked_by_this_process(file->get(), wal ? kWalWriteLock : kReservedByte);
    if (locked) stands = *locked;
  });
  if (!ran) return std::nullopt;
  return stands;
}

}  // namespace lockstep::sqlite
