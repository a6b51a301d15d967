#include "common/components/sqlite/settle.hpp"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <memory>
#include <mutex>

#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"

namespace lockstep::sqlite {

namespace {

// Gives hold/`from` its owner, syncs it and calls it hold/database.
Result<void> publish(os::Disk& disk, const std::string& hold, const char* from,
                     const Owner& owner) {
  const std::string path = hold + "/" + from;
  LOCKSTEP_CHECK(hand_over(disk, path, owner, true));
  os::failpoint("sqlite.settle.publish");
  const std::string name = hold + "/" + kDatabase;
  if (auto done = disk.rename(os::kCwd, path, os::kCwd, name); !done) {
    return os::write_error(done.error(), "rename to", name);
  }
  return os::make_names_last(disk, hold);
}

Result<void> write_back(const std::string& path) {
  LOCKSTEP_TRY(Database database, Database::open(path, Opening::own, ErrorCode::target_write));
  // Nobody else is there: no shared memory beside the file. FULL: the database is synced before the
  // WAL is cut, so that a power loss between the two leaves one of them whole.
  LOCKSTEP_CHECK(database.text("PRAGMA locking_mode = EXCLUSIVE"));
  LOCKSTEP_CHECK(database.run("PRAGMA synchronous = FULL"));
  // A rollback journal has nothing to write back: the answer is 0 there too.
  LOCKSTEP_TRY(const std::int64_t busy, database.number("PRAGMA wal_checkpoint(TRUNCATE)"));
  if (busy != 0) {
    return make_error(ErrorCode::target_write, "the WAL of the clone could not be written back",
                      path);
  }
  return {};
}

}  // namespace

Result<void> settle_clone(os::Disk& disk, const std::string& hold, const Owner& owner) {
  const std::string name = hold + "/" + kDatabase;
  const std::string raw = hold + "/" + kClone;
  // Two readers of a version that was left unsettled may come at once.
  static std::mutex one_at_a_time;
  const std::lock_guard guard(one_at_a_time);
  if (os::exists(disk, name)) return {};
  if (!os::exists(disk, raw)) {
    return make_error(ErrorCode::version_missing, "nothing is pinned here", hold);
  }
  os::failpoint("sqlite.settle.begin");
  LOCKSTEP_CHECK(write_back(raw));
  os::failpoint("sqlite.settle.written_back");
  // Closing removed the WAL, unless there was no WAL for it to remove and its name was left over.
  for (const char* left : {"-wal", "-shm"}) {
    auto gone = disk.unlink(os::kCwd, raw + left);
    if (!gone && gone.error().number != ENOENT) {
      return os::write_error(gone.error(), "remove", raw + left);
    }
  }
  return publish(disk, hold, kClone, owner);
}

namespace {

struct Finish {
  void operator()(sqlite3_backup* backup) const { sqlite3_backup_finish(backup); }
};

Result<void> copy_pages(Database& reader, Database& copy, const component::Context& context,
                        std::int64_t page_size) {
  constexpr int kPages = 256;
  const std::unique_ptr<sqlite3_backup, Finish> backup(
      sqlite3_backup_init(copy.handle(), "main", reader.handle(), "main"));
  if (!backup) {
    return copy.error(sqlite3_extended_errcode(copy.handle()), "cannot begin the copy");
  }
  for (;;) {
    if (context.stop.stop_requested()) {
      return make_error(ErrorCode::cancelled, "the copy was stopped", reader.path());
    }
    const int code = sqlite3_backup_step(backup.get(), kPages);
    if (code != SQLITE_OK && code != SQLITE_DONE) {
      // The pages read belong to one connection, those written to the other; an error of either
      // comes back as the step's own.
      const int reading = sqlite3_extended_errcode(reader.handle());
      if (reading == code) return reader.error(code, "cannot read the database");
      return copy.error(code, "cannot write the copy");
    }
    if (!reader.in_transaction()) {
      return make_error(ErrorCode::pin_lost, "the read transaction of the pin ended",
                        reader.path());
    }
    const auto done = static_cast<std::uint64_t>(sqlite3_backup_pagecount(backup.get()) -
                                                 sqlite3_backup_remaining(backup.get())) *
                      static_cast<std::uint64_t>(page_size);
    if (context.progress) context.progress(0, done);
    os::failpoint("sqlite.copy.step");
    if (code == SQLITE_DONE) return {};
  }
}

// The backup counts the schema cookie of its target up; the copy is to be the source's pages.
Result<void> restore_cookie(os::Disk& disk, const std::string& path, std::int64_t cookie) {
  constexpr std::uint64_t kAt = 40;  // https://www.sqlite.org/fileformat2.html, 1.3
  const auto value = static_cast<std::uint32_t>(cookie);
  std::array<std::byte, 4> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(value >> (24U - 8U * i));
  }
  auto file = disk.open(os::kCwd, path, O_WRONLY);
  if (!file) return os::write_error(file.error(), "open", path);
  if (auto done = disk.write_at(file->get(), kAt, bytes); !done) {
    return os::write_error(done.error(), "write", path);
  }
  return {};
}

}  // namespace

Result<void> copy_out(os::Disk& disk, Database& reader, const std::string& hold, const Owner& owner,
                      const component::Context& context) {
  if (!reader.in_transaction()) {
    return make_error(ErrorCode::pin_lost, "the read transaction of the pin ended", reader.path());
  }
  LOCKSTEP_CHECK(os::make_directories(disk, hold));
  const std::string path = hold + "/" + kCopying;
  LOCKSTEP_TRY(const std::int64_t page_size, reader.number("PRAGMA page_size"));
  LOCKSTEP_TRY(const std::int64_t pages, reader.number("PRAGMA page_count"));
  LOCKSTEP_TRY(const std::int64_t cookie, reader.number("PRAGMA schema_version"));
  {
    LOCKSTEP_TRY(Database copy, Database::open(path, Opening::own, ErrorCode::target_write));
    // Half a copy is thrown away, a whole one is synced before it gets its name.
    LOCKSTEP_CHECK(copy.text("PRAGMA locking_mode = EXCLUSIVE"));
    LOCKSTEP_CHECK(copy.text("PRAGMA journal_mode = OFF"));
    LOCKSTEP_CHECK(copy.run("PRAGMA synchronous = OFF"));
    LOCKSTEP_CHECK(copy_pages(reader, copy, context, page_size));
  }
  if (pages > 0) LOCKSTEP_CHECK(restore_cookie(disk, path, cookie));
  return publish(disk, hold, kCopying, owner);
}

}  // namespace lockstep::sqlite
