#include "common/journal/sqlite_journal.hpp"

#include <SQLiteCpp/Statement.h>
#include <sqlite3.h>

#include <algorithm>

#include "common/journal/sqlite_error.hpp"
#include "common/os/failpoint.hpp"

namespace lockstep::journal {

namespace {

// Rows go in batches of this size, so that not every transaction deletes one.
constexpr std::uint64_t kTrimBatch = 256;

void bind_blob(SQLite::Statement& statement, int index, const std::string& bytes) {
  statement.bind(index, bytes.data(), static_cast<int>(bytes.size()));
}

std::string blob(const SQLite::Column& column) {
  const auto* bytes = static_cast<const char*>(column.getBlob());
  return {bytes, static_cast<std::size_t>(column.getBytes())};
}

std::uint64_t unsigned_of(const SQLite::Column& column) {
  return static_cast<std::uint64_t>(column.getInt64());
}

}  // namespace

class SqliteJournal::Open final : public Transaction {
 public:
  Open(SQLite::Database& database, const Clock& clock, std::uint64_t last)
      : database_(database), clock_(clock), last_(last) {}

  SQLite::Database& database() override { return database_; }

  void emit(const std::string& type, const std::string& subject, message::Body data) override {
    const std::string schema = "events/" + type;
    if (message::schema_exists(schema)) {
      if (auto fits = message::check_schema(schema, data); !fits && !refused_) {
        refused_ = std::move(fits).error();
        return;
      }
    }
    SQLite::Statement insert(database_,
                             "INSERT INTO outbox (sequence, type, subject, time_ns, data)"
                             " VALUES (?, ?, ?, ?, ?)");
    insert.bind(1, static_cast<std::int64_t>(last_ + 1));
    insert.bind(2, type);
    insert.bind(3, subject);
    insert.bind(4, clock_.utc().count);
    const std::string packed = message::pack_body(data);
    bind_blob(insert, 5, packed);
    insert.exec();
    ++last_;
  }

  void store_reply(const ReplyKey& key, const StoredReply& reply) override {
    SQLite::Statement insert(database_,
                             "INSERT INTO reply (run, step, attempt, ok, body, stored_ns)"
                             " VALUES (?, ?, ?, ?, ?, ?)"
                             " ON CONFLICT DO UPDATE SET ok = excluded.ok, body = excluded.body,"
                             " stored_ns = excluded.stored_ns");
    insert.bind(1, key.run);
    insert.bind(2, key.step);
    insert.bind(3, key.attempt);
    insert.bind(4, reply.ok ? 1 : 0);
    const std::string packed = message::pack_body(reply.body);
    bind_blob(insert, 5, packed);
    insert.bind(6, clock_.utc().count);
    insert.exec();
  }

  std::uint64_t last() const { return last_; }
  // The first event whose data its schema refuses: the whole transaction fails with it.
  const std::optional<Error>& refused() const { return refused_; }

 private:
  SQLite::Database& database_;
  const Clock& clock_;
  std::uint64_t last_;
  std::optional<Error> refused_;
};

Result<std::unique_ptr<Journal>> SqliteJournal::make(std::unique_ptr<SQLite::Database> connection,
                                                     const OpenOptions& options,
                                                     const Clock& clock) {
  std::unique_ptr<SqliteJournal> out(new SqliteJournal(std::move(connection), options, clock));
  LOCKSTEP_CHECK(out->load());
  return std::unique_ptr<Journal>(std::move(out));
}

Result<void> SqliteJournal::load() {
  try {
    SQLite::Statement incarnation(*connection_,
                                  "SELECT value FROM journal_meta WHERE key = 'incarnation'");
    if (!incarnation.executeStep()) {
      return make_error(ErrorCode::journal_corrupt, "the journal has no incarnation",
                        options_.path);
    }
    incarnation_ = incarnation.getColumn(0).getString();
    SQLite::Statement range(
        *connection_, "SELECT COALESCE(MIN(sequence), 0), COALESCE(MAX(sequence), 0) FROM outbox");
    range.executeStep();
    first_ = unsigned_of(range.getColumn(0));
    last_ = unsigned_of(range.getColumn(1));
  } catch (const SQLite::Exception& exception) {
    return from_sqlite(exception, "read the journal", options_.path);
  }
  return {};
}

Result<void> SqliteJournal::enter() {
  if (inside_.load() == std::this_thread::get_id()) {
    return make_error(ErrorCode::internal,
                      "a transaction called back into its own journal; it would wait for itself",
                      options_.path);
  }
  return {};
}

Error SqliteJournal::rolled_back(Error error) {
  // SQLite has rolled back by itself after some errors (a full disk among them).
  if (sqlite3_get_autocommit(connection_->getHandle()) == 0) {
    try {
      connection_->exec("ROLLBACK");
    } catch (const SQLite::Exception& exception) {
      if (error.code != ErrorCode::journal_write) {
        error = from_sqlite(exception, "roll back", options_.path);
      }
      error.code = ErrorCode::journal_write;
    }
  }
  if (error.code == ErrorCode::journal_write || error.code == ErrorCode::journal_corrupt) {
    broken_ = error;
  }
  return error;
}

Result<void> SqliteJournal::trim(std::uint64_t last, std::uint64_t& first) {
  const std::uint64_t kept = first == 0 ? 0 : last - first + 1;
  if (kept < options_.keep_events + kTrimBatch) return {};
  const std::uint64_t new_first = last - options_.keep_events + 1;
  SQLite::Statement remove(*connection_, "DELETE FROM outbox WHERE sequence < ?");
  remove.bind(1, static_cast<std::int64_t>(new_first));
  remove.exec();
  first = new_first;
  return {};
}

void SqliteJournal::took(Nanos span) {
  const std::scoped_lock lock(times_guard_);
  const auto& bounds = WriteTimes::kBounds;
  const auto bound = std::lower_bound(bounds.begin(), bounds.end(), span);
  ++times_.counts[static_cast<std::size_t>(bound - bounds.begin())];
  times_.total = times_.total + span;
}

WriteTimes SqliteJournal::write_times() const {
  const std::scoped_lock lock(times_guard_);
  return times_;
}

Result<void> SqliteJournal::transact(const char* failpoint,
                                     const std::function<Result<void>(Transaction&)>& work) {
  LOCKSTEP_CHECK(enter());
  const std::scoped_lock lock(guard_);
  if (broken_) return *broken_;
  struct Inside {
    explicit Inside(std::atomic<std::thread::id>& who) : who_(who) {
      who_ = std::this_thread::get_id();
    }
    ~Inside() { who_ = std::thread::id{}; }
    std::atomic<std::thread::id>& who_;
  } const inside(inside_);

  const MonoNanos start = clock_.mono();
  try {
    connection_->exec("BEGIN IMMEDIATE");
    Open transaction(*connection_, clock_, last_);
    if (auto worked = work(transaction); !worked) return rolled_back(std::move(worked).error());
    if (transaction.refused()) return rolled_back(*transaction.refused());
    const std::uint64_t last = transaction.last();
    std::uint64_t first = first_ == 0 && last > 0 ? last_ + 1 : first_.load();
    if (auto trimmed = trim(last, first); !trimmed) return rolled_back(trimmed.error());
    os::failpoint((std::string(failpoint) + ".before").c_str());
    connection_->exec("COMMIT");
    os::failpoint((std::string(failpoint) + ".after").c_str());
    first_ = first;
    last_ = last;
    took(clock_.mono() - start);
  } catch (const SQLite::Exception& exception) {
    return rolled_back(from_sqlite(exception, std::string("write ") + failpoint + " to the journal",
                                   options_.path));
  } catch (...) {
    (void)rolled_back(make_error(ErrorCode::internal, "an exception left a transaction"));
    throw;
  }
  return {};
}

Result<void> SqliteJournal::read(const std::function<Result<void>(SQLite::Database&)>& work) {
  LOCKSTEP_CHECK(enter());
  const std::scoped_lock lock(guard_);
  // No transaction: this is the only connection, and nobody else writes while the lock is held.
  struct ReadOnly {
    explicit ReadOnly(SQLite::Database& database) : database_(database) {
      database_.exec("PRAGMA query_only = ON");
    }
    ~ReadOnly() { database_.tryExec("PRAGMA query_only = OFF"); }
    SQLite::Database& database_;
  };
  try {
    const ReadOnly read_only(*connection_);
    return work(*connection_);
  } catch (const SQLite::Exception& exception) {
    return from_sqlite(exception, "read the journal", options_.path);
  }
}

Result<std::optional<StoredReply>> SqliteJournal::find_reply(const ReplyKey& key) {
  std::optional<StoredReply> found;
  LOCKSTEP_CHECK(read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement query(
        database, "SELECT ok, body FROM reply WHERE run = ? AND step = ? AND attempt = ?");
    query.bind(1, key.run);
    query.bind(2, key.step);
    query.bind(3, key.attempt);
    if (!query.executeStep()) return {};
    LOCKSTEP_TRY(auto body, message::unpack_body(blob(query.getColumn(1))));
    found = StoredReply{query.getColumn(0).getInt() != 0, std::move(body)};
    return {};
  }));
  return found;
}

Result<std::vector<Event>> SqliteJournal::events_after(std::uint64_t sequence, std::size_t limit) {
  std::vector<Event> events;
  LOCKSTEP_CHECK(read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement query(database,
                            "SELECT sequence, type, subject, time_ns, data FROM outbox"
                            " WHERE sequence > ? ORDER BY sequence LIMIT ?");
    query.bind(1, static_cast<std::int64_t>(sequence));
    query.bind(2, static_cast<std::int64_t>(limit));
    while (query.executeStep()) {
      LOCKSTEP_TRY(auto data, message::unpack_body(blob(query.getColumn(4))));
      events.push_back({options_.source, incarnation_, unsigned_of(query.getColumn(0)),
                        query.getColumn(1).getString(), query.getColumn(2).getString(),
                        UtcNanos{query.getColumn(3).getInt64()}, std::move(data)});
    }
    return {};
  }));
  return events;
}

}  // namespace lockstep::journal
