#include "services/transfer-agent/book.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include "common/service/identity_site.hpp"
#include "services/transfer-agent/activate.hpp"
#include "services/transfer-agent/drill.hpp"
#include "services/transfer-agent/sets.hpp"

namespace lockstep::transfer {

using journal::Transaction;
using SQLite::Statement;

namespace {

constexpr const char* kFirst = R"sql(
CREATE TABLE identity (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1), number INTEGER NOT NULL,
  promotion TEXT NOT NULL) STRICT;
CREATE TABLE tombstone (
  run TEXT PRIMARY KEY, service TEXT NOT NULL, why TEXT NOT NULL, at_ns INTEGER NOT NULL) STRICT;
CREATE TABLE sent (
  run TEXT NOT NULL, set_name TEXT NOT NULL, service TEXT NOT NULL, version BLOB NOT NULL,
  manifest TEXT NOT NULL, PRIMARY KEY (run, set_name)) STRICT;
CREATE TABLE received (
  run TEXT NOT NULL, set_name TEXT NOT NULL, service TEXT NOT NULL, target BLOB NOT NULL,
  base TEXT NOT NULL, staging_attempt INTEGER NOT NULL, manifest TEXT NOT NULL, version BLOB,
  root TEXT NOT NULL, entries INTEGER NOT NULL, bytes INTEGER NOT NULL,
  PRIMARY KEY (run, set_name)) STRICT;
CREATE TABLE resume (
  run TEXT NOT NULL, set_name TEXT NOT NULL, state BLOB NOT NULL, sequence INTEGER NOT NULL,
  durable INTEGER NOT NULL, complete INTEGER NOT NULL, PRIMARY KEY (run, set_name)) STRICT;
CREATE TABLE unfinished (
  act TEXT NOT NULL, run TEXT NOT NULL, service TEXT NOT NULL, PRIMARY KEY (act, run)) STRICT;
CREATE TABLE verified (
  point TEXT PRIMARY KEY, at_ns INTEGER NOT NULL, ok INTEGER NOT NULL) STRICT;
)sql";

void bind_bytes(Statement& statement, int index, const std::string& bytes) {
  statement.bind(index, bytes.data(), static_cast<int>(bytes.size()));
}

std::string bytes_in(const SQLite::Column& column) {
  const auto* bytes = static_cast<const char*>(column.getBlob());
  return {bytes, static_cast<std::size_t>(column.getBytes())};
}

std::uint64_t unsigned_in(const SQLite::Column& column) {
  return static_cast<std::uint64_t>(column.getInt64());
}

void execute(Transaction& transaction, const char* sql, const std::vector<std::string>& values) {
  Statement statement(transaction.database(), sql);
  for (std::size_t i = 0; i < values.size(); ++i) {
    statement.bind(static_cast<int>(i + 1), values[i]);
  }
  statement.exec();
}

}  // namespace

journal::Migrations migrations() {
  return {kFirst, service::kIdentityTable, kActivationTable, kDrillTable};
}

Result<std::optional<std::string>> Book::tombstone(const std::string& run) {
  std::optional<std::string> why;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database, "SELECT why FROM tombstone WHERE run = ?");
    query.bind(1, run);
    if (query.executeStep()) why = query.getColumn(0).getString();
    return {};
  }));
  return why;
}

void Book::bury(Transaction& transaction, const std::string& run, const std::string& service,
                const std::string& why, UtcNanos at) {
  Statement put(transaction.database(),
                "INSERT INTO tombstone (run, service, why, at_ns) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING");
  put.bind(1, run);
  put.bind(2, service);
  put.bind(3, why);
  put.bind(4, at.count);
  put.exec();
}

Result<void> Book::put_sent(const Sent& sent) {
  return journal_.transact("transfer.sent", [&](Transaction& transaction) -> Result<void> {
    Statement put(transaction.database(),
                  "INSERT OR REPLACE INTO sent (run, set_name, service, version, manifest)"
                  " VALUES (?, ?, ?, ?, ?)");
    put.bind(1, sent.run);
    put.bind(2, sent.version.id.set);
    put.bind(3, sent.version.id.service);
    const std::string version = message::pack_body(body_of(sent.version));
    bind_bytes(put, 4, version);
    put.bind(5, sent.manifest);
    put.exec();
    return {};
  });
}

Result<std::vector<Sent>> Book::select_sent(const std::string& where, const std::string& value,
                                            const std::string& other) {
  std::vector<Sent> out;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database,
                    "SELECT run, service, set_name, version, manifest FROM sent WHERE " + where);
    query.bind(1, value);
    if (query.getBindParameterCount() > 1) query.bind(2, other);
    while (query.executeStep()) {
      LOCKSTEP_TRY(const auto version, message::unpack_body(bytes_in(query.getColumn(3))));
      out.push_back(
          {query.getColumn(0).getString(),
           version_of({query.getColumn(1).getString(), query.getColumn(2).getString()}, version),
           query.getColumn(4).getString()});
    }
    return {};
  }));
  return out;
}

Result<std::optional<Sent>> Book::find_sent(const std::string& run, const std::string& set) {
  LOCKSTEP_TRY(auto rows, select_sent("run = ? AND set_name = ?", run, set));
  if (rows.empty()) return std::optional<Sent>{};
  return std::optional<Sent>(std::move(rows.front()));
}

Result<std::vector<Sent>> Book::sent_before(const std::string& service, const std::string& run) {
  return select_sent("service = ? AND run < ?", service, run);
}

Result<std::vector<Sent>> Book::sent_of(const std::string& run) {
  return select_sent("run = ?", run, {});
}

void Book::forget_sent(Transaction& transaction, const std::string& run, const std::string& set) {
  execute(transaction, "DELETE FROM sent WHERE run = ? AND set_name = ?", {run, set});
}

Result<void> Book::put_received(const Received& received) {
  return journal_.transact("transfer.received", [&](Transaction& transaction) -> Result<void> {
    Statement put(transaction.database(),
                  "INSERT OR REPLACE INTO received (run, set_name, service, target, base,"
                  " staging_attempt, manifest, version, root, entries, bytes)"
                  " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    put.bind(1, received.run);
    put.bind(2, received.target.id.set);
    put.bind(3, received.target.id.service);
    const std::string target = message::pack_body(body_of(received.target));
    bind_bytes(put, 4, target);
    put.bind(5, received.base);
    put.bind(6, received.staging_attempt);
    put.bind(7, received.manifest);
    std::string version;
    if (received.version) {
      version = message::pack_body(body_of(*received.version));
      bind_bytes(put, 8, version);
    }
    put.bind(9, received.root);
    put.bind(10, static_cast<std::int64_t>(received.entries));
    put.bind(11, static_cast<std::int64_t>(received.bytes));
    put.exec();
    return {};
  });
}

Result<std::vector<Received>> Book::select_received(const std::string& where,
                                                    const std::vector<std::string>& values) {
  std::vector<Received> out;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database,
                    "SELECT run, target, base, staging_attempt, manifest, version, root, entries,"
                    " bytes FROM received WHERE " +
                        where);
    for (std::size_t i = 0; i < values.size(); ++i) query.bind(static_cast<int>(i + 1), values[i]);
    while (query.executeStep()) {
      Received row;
      row.run = query.getColumn(0).getString();
      LOCKSTEP_TRY(const auto target, message::unpack_body(bytes_in(query.getColumn(1))));
      row.target = data_set_from(target);
      row.base = query.getColumn(2).getString();
      row.staging_attempt = query.getColumn(3).getInt();
      row.manifest = query.getColumn(4).getString();
      if (!query.getColumn(5).isNull()) {
        LOCKSTEP_TRY(const auto version, message::unpack_body(bytes_in(query.getColumn(5))));
        row.version = version_of(row.target.id, version);
      }
      row.root = query.getColumn(6).getString();
      row.entries = unsigned_in(query.getColumn(7));
      row.bytes = unsigned_in(query.getColumn(8));
      out.push_back(std::move(row));
    }
    return {};
  }));
  return out;
}

Result<std::optional<Received>> Book::find_received(const std::string& run,
                                                    const std::string& set) {
  LOCKSTEP_TRY(auto rows, select_received("run = ? AND set_name = ?", {run, set}));
  if (rows.empty()) return std::optional<Received>{};
  return std::optional<Received>(std::move(rows.front()));
}

Result<std::vector<Received>> Book::received_of(const std::string& run) {
  return select_received("run = ?", {run});
}

Result<std::vector<Received>> Book::all_received() { return select_received("TRUE", {}); }

void Book::forget_received(Transaction& transaction, const std::string& run) {
  execute(transaction, "DELETE FROM received WHERE run = ?", {run});
  execute(transaction, "DELETE FROM resume WHERE run = ?", {run});
}

void Book::begin(Transaction& transaction, const char* act, const Unfinished& what) {
  execute(transaction, "INSERT OR REPLACE INTO unfinished (act, run, service) VALUES (?, ?, ?)",
          {act, what.run, what.service});
}

void Book::end(Transaction& transaction, const char* act, const std::string& run) {
  execute(transaction, "DELETE FROM unfinished WHERE act = ? AND run = ?", {act, run});
}

Result<std::vector<Unfinished>> Book::unfinished(const char* act) {
  std::vector<Unfinished> out;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database, "SELECT run, service FROM unfinished WHERE act = ?");
    query.bind(1, act);
    while (query.executeStep()) {
      out.push_back({query.getColumn(0).getString(), query.getColumn(1).getString()});
    }
    return {};
  }));
  return out;
}

void Book::put_verified(Transaction& transaction, const std::string& point,
                        const Verified& verified) {
  Statement put(transaction.database(),
                "INSERT OR REPLACE INTO verified (point, at_ns, ok) VALUES (?, ?, ?)");
  put.bind(1, point);
  put.bind(2, verified.at.count);
  put.bind(3, verified.ok ? 1 : 0);
  put.exec();
}

void Book::forget_verified(Transaction& transaction, const std::string& point) {
  execute(transaction, "DELETE FROM verified WHERE point = ?", {point});
}

Result<std::optional<Book::Verified>> Book::find_verified(const std::string& point) {
  std::optional<Verified> found;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database, "SELECT at_ns, ok FROM verified WHERE point = ?");
    query.bind(1, point);
    if (query.executeStep()) {
      found = Verified{{query.getColumn(0).getInt64()}, query.getColumn(1).getInt() != 0};
    }
    return {};
  }));
  return found;
}

Result<std::optional<stream::ResumeRow>> JournalResumeLog::load() {
  std::optional<stream::ResumeRow> found;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database,
                    "SELECT state, sequence, durable, complete FROM resume"
                    " WHERE run = ? AND set_name = ?");
    query.bind(1, run_);
    query.bind(2, set_);
    if (query.executeStep()) {
      found = stream::ResumeRow{bytes_in(query.getColumn(0)), unsigned_in(query.getColumn(1)),
                                unsigned_in(query.getColumn(2)), query.getColumn(3).getInt() != 0};
    }
    return {};
  }));
  return found;
}

Result<void> JournalResumeLog::save(const stream::ResumeRow& row) {
  return journal_.transact("transfer.resume", [&](Transaction& transaction) -> Result<void> {
    Statement put(transaction.database(),
                  "INSERT OR REPLACE INTO resume (run, set_name, state, sequence, durable,"
                  " complete) VALUES (?, ?, ?, ?, ?, ?)");
    put.bind(1, run_);
    put.bind(2, set_);
    bind_bytes(put, 3, row.state);
    put.bind(4, static_cast<std::int64_t>(row.sequence));
    put.bind(5, static_cast<std::int64_t>(row.durable));
    put.bind(6, row.complete ? 1 : 0);
    put.exec();
    return {};
  });
}

Result<void> JournalResumeLog::clear() {
  return journal_.transact(
      "transfer.resume_cleared", [&](Transaction& transaction) -> Result<void> {
        execute(transaction, "DELETE FROM resume WHERE run = ? AND set_name = ?", {run_, set_});
        return {};
      });
}

}  // namespace lockstep::transfer
