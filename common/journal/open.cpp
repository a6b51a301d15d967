// Opening a journal: made if missing, checked, set aside if damaged, brought to this version.
#include <SQLiteCpp/Statement.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include "common/journal/sqlite_error.hpp"
#include "common/journal/sqlite_journal.hpp"
#include "common/message/uuid.hpp"
#include "common/os/disk.hpp"
#include "common/os/durable.hpp"

namespace lockstep::journal {

namespace {

// The journal's own tables have a version of their own, since user_version counts the service's.
constexpr int kFormat = 1;
constexpr const char* kOwnTables = R"sql(
CREATE TABLE journal_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE outbox (
  sequence INTEGER PRIMARY KEY, type TEXT NOT NULL, subject TEXT NOT NULL,
  time_ns INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE reply (
  run TEXT NOT NULL, step TEXT NOT NULL, attempt INTEGER NOT NULL, ok INTEGER NOT NULL,
  body BLOB NOT NULL, stored_ns INTEGER NOT NULL,
  PRIMARY KEY (run, step, attempt)) STRICT, WITHOUT ROWID;
)sql";
// A repeat of a request comes within its deadline, which is counted in hours.
constexpr Nanos kKeepReplies = seconds(90LL * 86400);
constexpr int kBusyMilliseconds = 3000;  // for the end of the process before this one

Result<void> sync_name(os::Disk& disk, const std::string& path) {
  const std::string name = os::directory_of(path);
  if (auto synced = os::sync_directory(disk, name); !synced) {
    return from_errno(ErrorCode::journal_open, synced.error().number, "sync the directory", name);
  }
  return {};
}

// SQLite would make it readable for others; its WAL takes the mode from it.
Result<void> make_if_missing(os::Disk& disk, const std::string& path) {
  auto file = disk.open(os::kCwd, path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (!file) {
    if (file.error().number == EEXIST) return {};
    return from_errno(ErrorCode::journal_open, file.error().number, "make the journal", path);
  }
  return sync_name(disk, path);
}

Error set_aside(os::Disk& disk, const Clock& clock, const std::string& path, const Error& why) {
  std::string stamp = to_rfc3339(clock.utc());
  std::erase_if(stamp, [](char c) { return c == ':' || c == '-'; });
  const std::string kept = path + ".corrupt-" + stamp;
  // The WAL first: were it left behind, SQLite would take it for the new journal's.
  for (const char* suffix : {"-wal", "-shm", ""}) {
    auto moved = disk.rename(os::kCwd, path + suffix, os::kCwd, kept + suffix, false);
    if (!moved && moved.error().number != ENOENT) {
      return from_errno(ErrorCode::journal_open, moved.error().number,
                        "set the damaged journal aside", path + suffix);
    }
  }
  if (auto synced = sync_name(disk, path); !synced) return std::move(synced).error();
  return make_error(ErrorCode::journal_corrupt,
                    fmt::format("{}; it was set aside as {}", why.what, kept), path);
}

Result<void> configure(SQLite::Database& database, const OpenOptions& options) {
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  const std::string mode = database.execAndGet("PRAGMA journal_mode = WAL").getString();
  if (mode != "wal") {
    return make_error(ErrorCode::journal_open, "the journal's file system cannot hold a WAL",
                      options.path);
  }
  database.exec("PRAGMA synchronous = FULL");
  database.exec("PRAGMA foreign_keys = ON");
  database.exec("PRAGMA trusted_schema = OFF");
  database.exec("PRAGMA cell_size_check = ON");
  return {};
}

Result<void> check_integrity(SQLite::Database& database, const std::string& path) {
  const std::string found = database.execAndGet("PRAGMA quick_check(1)").getString();
  if (found == "ok") return {};
  return make_error(ErrorCode::journal_corrupt, "the journal is damaged: " + found, path);
}

int integer(SQLite::Database& database, const std::string& query) {
  return database.execAndGet(query).getInt();
}

Result<void> check_owner(SQLite::Database& database, const OpenOptions& options) {
  const auto id = static_cast<std::uint32_t>(database.execAndGet("PRAGMA application_id").getInt());
  const bool empty = integer(database, "SELECT COUNT(*) FROM sqlite_schema") == 0;
  if (id == options.application_id || (id == 0 && empty)) return {};
  return make_error(ErrorCode::journal_open,
                    "this is a database of another program, not a journal of Lockstep",
                    options.path, "move it away, or let the configuration name another place");
}

Result<void> migrate(SQLite::Database& database, const OpenOptions& options, const Clock& clock) {
  const int wanted = static_cast<int>(options.migrations.size());
  database.exec("BEGIN IMMEDIATE");
  const bool fresh = integer(database, "SELECT COUNT(*) FROM sqlite_schema") == 0;
  if (fresh) {
    database.exec(kOwnTables);
    database.exec(fmt::format("PRAGMA application_id = {}",
                              static_cast<std::int32_t>(options.application_id)));
    SQLite::Statement insert(database,
                             "INSERT INTO journal_meta VALUES ('format', ?), ('incarnation', ?)");
    insert.bind(1, std::to_string(kFormat));
    insert.bind(2, message::make_uuid7(clock.utc()));
    insert.exec();
  }
  const int format =
      integer(database, "SELECT CAST(value AS INTEGER) FROM journal_meta WHERE key = 'format'");
  const int version = integer(database, "PRAGMA user_version");
  if (format > kFormat || version > wanted) {
    database.exec("ROLLBACK");
    return make_error(ErrorCode::journal_newer,
                      fmt::format("the journal has version {}.{}, this program knows {}.{}", format,
                                  version, kFormat, wanted),
                      options.path);
  }
  for (int i = version; i < wanted; ++i) {
    database.exec(options.migrations[static_cast<std::size_t>(i)]);
  }
  if (version < wanted) database.exec(fmt::format("PRAGMA user_version = {}", wanted));
  SQLite::Statement old(database, "DELETE FROM reply WHERE stored_ns < ?");
  old.bind(1, (clock.utc() - kKeepReplies).count);
  old.exec();
  database.exec("COMMIT");
  return {};
}

Result<std::unique_ptr<Journal>> open_connection(const OpenOptions& options, const Clock& clock) {
  const int flags = SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE;
  auto database =
      std::make_unique<SQLite::Database>(options.path, flags, kBusyMilliseconds, options.vfs);
  LOCKSTEP_CHECK(configure(*database, options));
  LOCKSTEP_CHECK(check_owner(*database, options));
  LOCKSTEP_CHECK(check_integrity(*database, options.path));
  LOCKSTEP_CHECK(migrate(*database, options, clock));
  return SqliteJournal::make(std::move(database), options, clock);
}

Result<std::unique_ptr<Journal>> try_open(const OpenOptions& options, const Clock& clock) {
  try {
    return open_connection(options, clock);
  } catch (const SQLite::Exception& exception) {
    Error error = from_sqlite(exception, "open the journal", options.path);
    if (exception.getErrorCode() == SQLITE_BUSY) {
      error = make_error(ErrorCode::journal_open, "another process has the journal open",
                         options.path, "is the service running already? see `lockstep status`");
    }
    if (error.code == ErrorCode::journal_write) error.code = ErrorCode::journal_open;
    return error;
  }
}

}  // namespace

Result<std::unique_ptr<Journal>> open(const OpenOptions& options, const Clock& clock) {
  const auto kernel = os::make_kernel_disk();
  os::Disk& disk = options.disk != nullptr ? *options.disk : *kernel;
  LOCKSTEP_CHECK(make_if_missing(disk, options.path));
  auto opened = try_open(options, clock);
  if (!opened && opened.error().code == ErrorCode::journal_corrupt) {
    return set_aside(disk, clock, options.path, opened.error());
  }
  return opened;
}

}  // namespace lockstep::journal
