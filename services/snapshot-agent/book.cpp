#include "services/snapshot-agent/book.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

namespace lockstep::snapshot {

namespace {

constexpr const char* kFirst = R"sql(
CREATE TABLE runs(
  run TEXT PRIMARY KEY, service TEXT NOT NULL,
  committed INTEGER NOT NULL, over TEXT NOT NULL, changed_at INTEGER NOT NULL) STRICT;
CREATE TABLE members(
  run TEXT NOT NULL, name TEXT NOT NULL, service TEXT NOT NULL, body BLOB NOT NULL,
  component TEXT, native BLOB,
  PRIMARY KEY(run, name)) STRICT;
CREATE INDEX members_by_service ON members(service, run);
CREATE TABLE holds(
  run TEXT NOT NULL, name TEXT NOT NULL, service TEXT NOT NULL, reason TEXT NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY(run, name)) STRICT;
CREATE TABLE places(
  service TEXT NOT NULL, name TEXT NOT NULL, component TEXT NOT NULL, location BLOB NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY(service, name, component, location)) STRICT;
CREATE TABLE fences(
  run TEXT NOT NULL, name TEXT NOT NULL, service TEXT NOT NULL, undo TEXT NOT NULL,
  PRIMARY KEY(run, name)) STRICT;
CREATE TABLE identity(
  only_row INTEGER PRIMARY KEY CHECK(only_row = 1),
  number INTEGER NOT NULL, promotion TEXT NOT NULL) STRICT;
)sql";

void bind_blob(SQLite::Statement& statement, int index, const std::string& bytes) {
  statement.bind(index, bytes.data(), static_cast<int>(bytes.size()));
}

std::string blob(const SQLite::Column& column) {
  return column.isNull() ? std::string()
                         : std::string(static_cast<const char*>(column.getBlob()),
                                       static_cast<std::size_t>(column.getBytes()));
}

Result<MemberRow> read_member(SQLite::Statement& row) {
  MemberRow member;
  member.run = row.getColumn(0).getString();
  member.name = row.getColumn(1).getString();
  member.service = row.getColumn(2).getString();
  LOCKSTEP_TRY(member.set, message::unpack_body(blob(row.getColumn(3))));
  if (!row.getColumn(4).isNull()) {
    member.version = component::Version{{member.service, member.name},
                                        row.getColumn(4).getString(),
                                        member.run,
                                        blob(row.getColumn(5))};
  }
  return member;
}

constexpr const char* kMemberColumns = "SELECT run, name, service, body, component, native FROM ";

// Of rows of run, service and over.
std::vector<RunRow> runs_that_are_over(SQLite::Statement& row) {
  std::vector<RunRow> runs;
  while (row.executeStep()) {
    runs.push_back({row.getColumn(0).getString(), row.getColumn(1).getString(), false,
                    over_from_name(row.getColumn(2).getString()).value_or(Over::dropped)});
  }
  return runs;
}

}  // namespace

journal::Migrations migrations() { return {kFirst}; }

Result<std::optional<RunRow>> Book::find_run(const std::string& run) {
  std::optional<RunRow> found;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement row(database, "SELECT service, committed, over FROM runs WHERE run = ?");
    row.bind(1, run);
    if (row.executeStep()) {
      found = RunRow{run, row.getColumn(0).getString(), row.getColumn(1).getInt() != 0,
                     over_from_name(row.getColumn(2).getString()).value_or(Over::dropped)};
    }
    return {};
  }));
  return found;
}

Result<std::vector<RunRow>> Book::open_runs() {
  std::vector<RunRow> runs;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement row(database,
                          "SELECT run, service FROM runs WHERE committed = 0 AND over = 'no'");
    while (row.executeStep()) {
      runs.push_back({row.getColumn(0).getString(), row.getColumn(1).getString(), false, Over::no});
    }
    return {};
  }));
  return runs;
}

Result<std::vector<RunRow>> Book::unfinished_drops() {
  std::vector<RunRow> runs;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement row(database,
                          "SELECT DISTINCT r.run, r.service, r.over FROM runs r JOIN members m ON "
                          "m.run = r.run WHERE r.over <> 'no'");
    runs = runs_that_are_over(row);
    return {};
  }));
  return runs;
}

Result<std::vector<RunRow>> Book::over_since(UtcNanos since) {
  std::vector<RunRow> runs;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement row(
        database, "SELECT run, service, over FROM runs WHERE over <> 'no' AND changed_at >= ?");
    row.bind(1, since.count);
    runs = runs_that_are_over(row);
    return {};
  }));
  return runs;
}

Result<std::vector<MemberRow>> Book::members_of(const std::string& run) {
  std::vector<MemberRow> members;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement row(database,
                          std::string(kMemberColumns) + "members WHERE run = ? ORDER BY name");
    row.bind(1, run);
    while (row.executeStep()) {
      LOCKSTEP_TRY(MemberRow member, read_member(row));
      members.push_back(std::move(member));
    }
    return {};
  }));
  return members;
}

Result<std::vector<std::string>> Book::runs_of(const std::string& service) {
  std::vector<std::string> runs;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement row(database,
                          "SELECT DISTINCT run FROM members WHERE service = ? ORDER BY run");
    row.bind(1, service);
    while (row.executeStep()) runs.push_back(row.getColumn(0).getString());
    return {};
  }));
  return runs;
}

Result<std::vector<Hold>> Book::holds() {
  std::vector<Hold> holds;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement row(database,
                          "SELECT h.service, h.name, h.run, h.reason, h.since, m.component, "
                          "m.native FROM holds h JOIN members m ON m.run = h.run AND "
                          "m.name = h.name ORDER BY h.service, h.run, h.name");
    while (row.executeStep()) {
      Hold hold;
      hold.service = row.getColumn(0).getString();
      hold.set = row.getColumn(1).getString();
      hold.run = row.getColumn(2).getString();
      hold.reason = row.getColumn(3).getString();
      hold.since = UtcNanos{row.getColumn(4).getInt64()};
      hold.version = {
          {hold.service, hold.set}, row.getColumn(5).getString(), hold.run, blob(row.getColumn(6))};
      holds.push_back(std::move(hold));
    }
    return {};
  }));
  return holds;
}

Result<std::vector<MemberRow>> Book::places() {
  std::vector<MemberRow> places;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement row(database, "SELECT service, name, body FROM places");
    while (row.executeStep()) {
      MemberRow place;
      place.service = row.getColumn(0).getString();
      place.name = row.getColumn(1).getString();
      LOCKSTEP_TRY(place.set, message::unpack_body(blob(row.getColumn(2))));
      places.push_back(std::move(place));
    }
    return {};
  }));
  return places;
}

Result<std::vector<FenceRow>> Book::fences() {
  std::vector<FenceRow> fences;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement row(database, "SELECT run, service, name, undo FROM fences");
    while (row.executeStep()) {
      fences.push_back({row.getColumn(0).getString(), row.getColumn(1).getString(),
                        row.getColumn(2).getString(), row.getColumn(3).getString()});
    }
    return {};
  }));
  return fences;
}

Result<std::optional<message::Epoch>> Book::epoch() {
  std::optional<message::Epoch> held;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement row(database, "SELECT number, promotion FROM identity");
    if (row.executeStep()) {
      held = message::Epoch{static_cast<std::uint64_t>(row.getColumn(0).getInt64()),
                            row.getColumn(1).getString()};
    }
    return {};
  }));
  return held;
}

void Book::put_epoch(journal::Transaction& transaction, const message::Epoch& epoch) {
  SQLite::Statement put(transaction.database(), "INSERT OR REPLACE INTO identity VALUES(1, ?, ?)");
  put.bind(1, static_cast<std::int64_t>(epoch.number));
  put.bind(2, epoch.promotion);
  put.exec();
}

void Book::put_run(journal::Transaction& transaction, const RunRow& run, UtcNanos now) {
  SQLite::Statement put(transaction.database(),
                        "INSERT INTO runs VALUES(?, ?, ?, ?, ?) ON CONFLICT(run) DO UPDATE SET "
                        "committed = excluded.committed, over = excluded.over, "
                        "changed_at = excluded.changed_at");
  put.bind(1, run.run);
  put.bind(2, run.service);
  put.bind(3, run.committed ? 1 : 0);
  put.bind(4, over_name(run.over));
  put.bind(5, now.count);
  put.exec();
}

void Book::put_member(journal::Transaction& transaction, const MemberRow& member) {
  const std::string body = message::pack_body(member.set);
  SQLite::Statement put(transaction.database(),
                        "INSERT INTO members VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT(run, name) DO "
                        "UPDATE SET component = excluded.component, native = excluded.native");
  put.bind(1, member.run);
  put.bind(2, member.name);
  put.bind(3, member.service);
  bind_blob(put, 4, body);
  if (member.version) {
    put.bind(5, member.version->component);
    bind_blob(put, 6, member.version->native);
  }
  put.exec();

  const OwnSet own = read_set(member.service, member.set);
  SQLite::Statement place(transaction.database(),
                          "INSERT INTO places VALUES(?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                          "body = excluded.body");
  place.bind(1, member.service);
  place.bind(2, member.name);
  place.bind(3, own.data.component);
  bind_blob(place, 4, own.data.place.location);
  bind_blob(place, 5, body);
  place.exec();
}

void Book::put_hold(journal::Transaction& transaction, const MemberRow& member,
                    const std::string& reason, UtcNanos now) {
  SQLite::Statement put(transaction.database(),
                        "INSERT INTO holds VALUES(?, ?, ?, ?, ?) ON CONFLICT(run, name) DO UPDATE "
                        "SET reason = excluded.reason, since = excluded.since "
                        "WHERE reason <> excluded.reason");
  put.bind(1, member.run);
  put.bind(2, member.name);
  put.bind(3, member.service);
  put.bind(4, reason);
  put.bind(5, now.count);
  put.exec();
}

void Book::remove_holds(journal::Transaction& transaction, const std::string& run) {
  SQLite::Statement remove(transaction.database(), "DELETE FROM holds WHERE run = ?");
  remove.bind(1, run);
  remove.exec();
}

bool Book::remove_member(journal::Transaction& transaction, const std::string& run,
                         const std::string& name) {
  int removed = 0;
  for (const char* sql : {"DELETE FROM holds WHERE run = ? AND name = ?",
                          "DELETE FROM members WHERE run = ? AND name = ?"}) {
    SQLite::Statement remove(transaction.database(), sql);
    remove.bind(1, run);
    remove.bind(2, name);
    removed = remove.exec();  // of the last: the member itself
  }
  return removed > 0;
}

void Book::put_fence(journal::Transaction& transaction, const FenceRow& fence) {
  SQLite::Statement put(transaction.database(), "INSERT OR REPLACE INTO fences VALUES(?, ?, ?, ?)");
  put.bind(1, fence.run);
  put.bind(2, fence.set);
  put.bind(3, fence.service);
  put.bind(4, fence.undo);
  put.exec();
}

void Book::remove_fence(journal::Transaction& transaction, const std::string& run,
                        const std::string& set) {
  SQLite::Statement remove(transaction.database(), "DELETE FROM fences WHERE run = ? AND name = ?");
  remove.bind(1, run);
  remove.bind(2, set);
  remove.exec();
}

}  // namespace lockstep::snapshot
