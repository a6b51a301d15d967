#include "services/policy/book.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>

namespace lockstep::policy_service {

journal::Migrations migrations() {
  return {R"sql(
    CREATE TABLE policy (
      service TEXT PRIMARY KEY,
      version INTEGER NOT NULL,
      paused INTEGER NOT NULL,
      removed INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE policy_version (
      service TEXT NOT NULL,
      version INTEGER NOT NULL,
      applied_at INTEGER NOT NULL,
      applied_by TEXT NOT NULL,
      file TEXT NOT NULL,
      yaml TEXT NOT NULL,
      body BLOB NOT NULL,
      PRIMARY KEY (service, version)
    ) STRICT;
    CREATE TABLE audit (
      number INTEGER PRIMARY KEY,
      at INTEGER NOT NULL,
      actor TEXT NOT NULL,
      key TEXT NOT NULL,
      act TEXT NOT NULL,
      service TEXT NOT NULL,
      version INTEGER NOT NULL
    ) STRICT;
  )sql"};
}

namespace {

constexpr const char* kInForce = R"sql(
  SELECT p.service, p.version, p.paused, v.applied_at, v.yaml, v.body
  FROM policy p JOIN policy_version v ON v.service = p.service AND v.version = p.version
  WHERE p.removed = 0 AND (?1 = '' OR p.service = ?1) ORDER BY p.service
)sql";

Result<std::vector<Entry>> read_entries(SQLite::Database& database, const std::string& service) {
  std::vector<Entry> out;
  SQLite::Statement select{database, kInForce};
  select.bind(1, service);
  while (select.executeStep()) {
    Entry entry;
    entry.service = select.getColumn(0).getString();
    entry.version = select.getColumn(1).getInt();
    entry.paused = select.getColumn(2).getInt() != 0;
    entry.applied_at = UtcNanos{select.getColumn(3).getInt64()};
    entry.yaml = select.getColumn(4).getString();
    LOCKSTEP_TRY(entry.body, message::unpack_body(select.getColumn(5).getString()));
    out.push_back(std::move(entry));
  }
  return out;
}

Error unknown(const std::string& service) {
  return make_error(ErrorCode::policy_unknown, "no policy is in force for this service", service);
}

Result<Entry> find_in(SQLite::Database& database, const std::string& service) {
  LOCKSTEP_TRY(auto entries, read_entries(database, service));
  if (service.empty() || entries.empty()) return unknown(service);
  return std::move(entries.front());
}

void note(SQLite::Database& database, UtcNanos at, const Actor& actor, const std::string& act,
          const std::string& service, int version) {
  SQLite::Statement insert{database,
                           "INSERT INTO audit (at, actor, key, act, service, version) "
                           "VALUES (?, ?, ?, ?, ?, ?)"};
  insert.bind(1, at.count);
  insert.bind(2, actor.name);
  insert.bind(3, actor.key);
  insert.bind(4, act);
  insert.bind(5, service);
  insert.bind(6, version);
  insert.exec();
}

int last_version(SQLite::Database& database, const std::string& service) {
  SQLite::Statement select{
      database, "SELECT coalesce(max(version), 0) FROM policy_version WHERE service = ?"};
  select.bind(1, service);
  select.executeStep();
  return select.getColumn(0).getInt();
}

}  // namespace

Result<std::vector<Entry>> Book::all() const {
  std::vector<Entry> out;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    LOCKSTEP_TRY(out, read_entries(database, ""));
    return {};
  }));
  return out;
}

Result<Entry> Book::find(const std::string& service) const {
  Entry out;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    LOCKSTEP_TRY(out, find_in(database, service));
    return {};
  }));
  return out;
}

Result<Book::Applied> Book::apply(const policy::Policy& policy, const std::string& yaml,
                                  const std::string& file, const Actor& actor) {
  return put(policy, 1, yaml, file, actor);
}

Result<Book::Applied> Book::recover(const policy::Policy& policy, int version,
                                    const std::string& yaml, const std::string& file,
                                    const Actor& actor) {
  const auto present = find(policy.service);
  if (present) return Applied{present->version, false};
  if (present.error().code != ErrorCode::policy_unknown) return present.error();
  return put(policy, version, yaml, file, actor);
}

Result<Book::Applied> Book::put(const policy::Policy& policy, int least_version,
                                const std::string& yaml, const std::string& file,
                                const Actor& actor) {
  Applied out;
  const UtcNanos now = clock_.utc();
  LOCKSTEP_CHECK(
      journal_.transact("policy.apply", [&](journal::Transaction& transaction) -> Result<void> {
        auto& database = transaction.database();
        LOCKSTEP_TRY(const auto before, read_entries(database, policy.service));
        if (!before.empty() && before.front().yaml == yaml) {
          out = {before.front().version, false};
          return {};
        }
        out = {std::max(last_version(database, policy.service) + 1, least_version), true};
        const std::string body = message::pack_body(policy::to_body(policy));
        SQLite::Statement insert{database,
                                 "INSERT INTO policy_version (service, version, applied_at, "
                                 "applied_by, file, yaml, body) VALUES (?, ?, ?, ?, ?, ?, ?)"};
        insert.bind(1, policy.service);
        insert.bind(2, out.version);
        insert.bind(3, now.count);
        insert.bind(4, actor.name);
        insert.bind(5, file);
        insert.bind(6, yaml);
        insert.bind(7, body.data(), static_cast<int>(body.size()));
        insert.exec();
        // A pause outlives a new version; a service that comes back, or is new, is not paused.
        SQLite::Statement upsert{
            database,
            "INSERT INTO policy (service, version, paused, removed) VALUES (?, ?, 0, 0) "
            "ON CONFLICT (service) DO UPDATE SET version = excluded.version, "
            "paused = CASE WHEN removed = 1 THEN 0 ELSE paused END, removed = 0"};
        upsert.bind(1, policy.service);
        upsert.bind(2, out.version);
        upsert.exec();
        note(database, now, actor, "apply", policy.service, out.version);
        transaction.emit(
            "policy.applied", policy.service,
            {{"service", policy.service}, {"version", out.version}, {"by", actor.name}});
        return {};
      }));
  return out;
}

Result<void> Book::remove(const std::string& service, const Actor& actor) {
  const UtcNanos now = clock_.utc();
  return journal_.transact("policy.remove", [&](journal::Transaction& transaction) -> Result<void> {
    auto& database = transaction.database();
    LOCKSTEP_TRY(const Entry entry, find_in(database, service));
    SQLite::Statement update{database, "UPDATE policy SET removed = 1 WHERE service = ?"};
    update.bind(1, service);
    update.exec();
    note(database, now, actor, "remove", service, entry.version);
    transaction.emit("policy.removed", service, {{"service", service}, {"by", actor.name}});
    return {};
  });
}

Result<void> Book::set_paused(const std::string& service, bool paused, const Actor& actor) {
  const UtcNanos now = clock_.utc();
  const std::string act = paused ? "pause" : "resume";
  return journal_.transact("policy.pause", [&](journal::Transaction& transaction) -> Result<void> {
    auto& database = transaction.database();
    LOCKSTEP_TRY(const Entry entry, find_in(database, service));
    if (entry.paused == paused) return {};
    SQLite::Statement update{database, "UPDATE policy SET paused = ? WHERE service = ?"};
    update.bind(1, paused ? 1 : 0);
    update.bind(2, service);
    update.exec();
    note(database, now, actor, act, service, entry.version);
    transaction.emit(paused ? "policy.paused" : "policy.resumed", service,
                     {{"service", service}, {"by", actor.name}});
    return {};
  });
}

}  // namespace lockstep::policy_service
