#include "services/scheduler/drill_book.hpp"

#include <SQLiteCpp/Database.h>

#include "services/scheduler/body_column.hpp"

namespace lockstep::scheduler {

using message::Body;
using SQLite::Statement;

const char* const kDrillTables = R"sql(
    CREATE TABLE drill_schedules (
      service TEXT PRIMARY KEY,
      since INTEGER NOT NULL,
      considered INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE drill_wishes (
      service TEXT PRIMARY KEY,         -- one at a time
      scheduled INTEGER NOT NULL,
      cluster TEXT NOT NULL,
      body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE drills (
      drill TEXT PRIMARY KEY,
      service TEXT NOT NULL,
      started_at INTEGER NOT NULL,
      good INTEGER NOT NULL,
      body BLOB NOT NULL
    ) STRICT;
  )sql";

namespace {

void put_considered(SQLite::Database& database, const std::string& service, UtcNanos instant) {
  Statement put(database,
                "INSERT INTO drill_schedules VALUES (?1, ?2, ?2)"
                " ON CONFLICT DO UPDATE SET considered = excluded.considered");
  put.bind(1, service);
  put.bind(2, instant.count);
  put.exec();
}

void forget_wish(SQLite::Database& database, const std::string& service) {
  Statement forget(database, "DELETE FROM drill_wishes WHERE service = ?");
  forget.bind(1, service);
  forget.exec();
}

// Without the check's output and the list of sets: these stand at the registrar.
Result<void> put_drill(SQLite::Database& database, Body drill) {
  drill.erase("said");
  drill.erase("sets");
  LOCKSTEP_TRY(const UtcNanos started, parse_rfc3339(drill.at("started_at").get<std::string>()));
  Statement put(database, "INSERT OR REPLACE INTO drills VALUES (?, ?, ?, ?, ?)");
  put.bind(1, drill.at("drill").get<std::string>());
  put.bind(2, drill.at("service").get<std::string>());
  put.bind(3, started.count);
  put.bind(4, drill.at("outcome") == "good" ? 1 : 0);
  bind_body(put, 5, drill);
  put.exec();
  return {};
}

void forget_older(SQLite::Database& database) {
  database.exec(
      "DELETE FROM drills WHERE drill NOT IN (SELECT drill FROM (SELECT drill, row_number() OVER"
      " (PARTITION BY service, good ORDER BY started_at DESC) AS n FROM drills) WHERE n = 1)");
}

}  // namespace

Result<std::optional<DrillSchedule>> DrillBook::schedule(const std::string& service) {
  std::optional<DrillSchedule> found;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database, "SELECT since, considered FROM drill_schedules WHERE service = ?");
    query.bind(1, service);
    if (query.executeStep()) {
      found = DrillSchedule{{query.getColumn(0).getInt64()}, {query.getColumn(1).getInt64()}};
    }
    return {};
  }));
  return found;
}

Result<void> DrillBook::consider(const std::string& service, UtcNanos instant) {
  return journal_.transact("drill.considered",
                           [&](journal::Transaction& transaction) -> Result<void> {
                             put_considered(transaction.database(), service, instant);
                             return {};
                           });
}

Result<void> DrillBook::keep_only(const std::set<std::string>& wanted) {
  std::vector<std::string> gone;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database, "SELECT service FROM drill_schedules");
    while (query.executeStep()) {
      const std::string service = query.getColumn(0).getString();
      if (!wanted.contains(service)) gone.push_back(service);
    }
    return {};
  }));
  if (gone.empty()) return {};
  return journal_.transact("drill.forget", [&](journal::Transaction& transaction) -> Result<void> {
    for (const std::string& service : gone) {
      Statement forget(transaction.database(), "DELETE FROM drill_schedules WHERE service = ?");
      forget.bind(1, service);
      forget.exec();
    }
    return {};
  });
}

Result<std::vector<DrillWish>> DrillBook::wishes() {
  std::vector<DrillWish> found;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database, "SELECT service, scheduled, cluster, body FROM drill_wishes");
    while (query.executeStep()) {
      LOCKSTEP_TRY(Body body, column_body(query, 3));
      found.push_back({query.getColumn(0).getString(),
                       {query.getColumn(1).getInt64()},
                       query.getColumn(2).getString(),
                       std::move(body)});
    }
    return {};
  }));
  return found;
}

Result<void> DrillBook::begin(const DrillWish& wish) {
  return journal_.transact("drill.wished", [&](journal::Transaction& transaction) -> Result<void> {
    Statement put(transaction.database(), "INSERT INTO drill_wishes VALUES (?, ?, ?, ?)");
    put.bind(1, wish.service);
    put.bind(2, wish.scheduled.count);
    put.bind(3, wish.cluster);
    bind_body(put, 4, wish.body);
    put.exec();
    put_considered(transaction.database(), wish.service, wish.scheduled);
    return {};
  });
}

Result<void> DrillBook::end(const DrillWish& wish, const Body& drill) {
  return journal_.transact("drill.told", [&](journal::Transaction& transaction) -> Result<void> {
    forget_wish(transaction.database(), wish.service);
    LOCKSTEP_CHECK(put_drill(transaction.database(), drill));
    forget_older(transaction.database());
    return {};
  });
}

Result<void> DrillBook::missed(const std::string& service, UtcNanos scheduled,
                               const std::string& drill, const Error& why) {
  return journal_.transact("drill.missed", [&](journal::Transaction& transaction) -> Result<void> {
    if (!drill.empty()) forget_wish(transaction.database(), service);
    put_considered(transaction.database(), service, scheduled);
    transaction.emit("drill.missed", service,
                     {{"service", service},
                      {"scheduled", to_rfc3339(scheduled)},
                      {"error", message::error_body(why)}});
    return {};
  });
}

Result<void> DrillBook::learn(const Body& drills) {
  std::set<std::pair<std::string, bool>> seen;
  std::vector<const Body*> fresh;
  for (const Body& drill : drills) {  // newest first
    const std::string service = drill.at("service").get<std::string>();
    const bool good = drill.at("outcome") == "good";
    if (!seen.insert({service, good}).second) continue;
    LOCKSTEP_TRY(const bool known, knows(drill));
    if (!known) fresh.push_back(&drill);
  }
  if (fresh.empty()) return {};
  return journal_.transact("drill.learned", [&](journal::Transaction& transaction) -> Result<void> {
    for (const Body* drill : fresh) LOCKSTEP_CHECK(put_drill(transaction.database(), *drill));
    forget_older(transaction.database());
    return {};
  });
}

Result<bool> DrillBook::knows(const Body& drill) {
  bool known = false;
  LOCKSTEP_TRY(const UtcNanos started, parse_rfc3339(drill.at("started_at").get<std::string>()));
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database,
                    "SELECT 1 FROM drills WHERE service = ? AND good = ? AND started_at >= ?");
    query.bind(1, drill.at("service").get<std::string>());
    query.bind(2, drill.at("outcome") == "good" ? 1 : 0);
    query.bind(3, started.count);
    known = query.executeStep();
    return {};
  }));
  return known;
}

Result<LastDrills> DrillBook::last(const std::string& service) {
  LastDrills last;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database,
                    "SELECT good, body FROM drills WHERE service = ? ORDER BY started_at DESC");
    query.bind(1, service);
    while (query.executeStep()) {
      LOCKSTEP_TRY(const Body body, column_body(query, 1));
      if (!last.any) last.any = body;
      if (!last.good && query.getColumn(0).getInt() != 0) last.good = body;
    }
    return {};
  }));
  return last;
}

}  // namespace lockstep::scheduler
