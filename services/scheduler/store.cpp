#include "services/scheduler/store.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include "services/scheduler/body_column.hpp"
#include "services/scheduler/drill_book.hpp"
#include "services/scheduler/record_body.hpp"
#include "services/scheduler/users.hpp"

namespace lockstep::scheduler {
namespace {

using message::Body;
using SQLite::Statement;

Result<void> insert_run(SQLite::Database& database, const Store::Change::NewRun& fresh) {
  Statement taken(database,
                  "SELECT 1 FROM runs WHERE service = ? AND scheduled = ? AND attempt = ?");
  taken.bind(1, fresh.plan.service);
  taken.bind(2, fresh.plan.scheduled);
  taken.bind(3, fresh.plan.attempt);
  if (taken.executeStep()) {
    return make_error(ErrorCode::run_busy, "a run for this moment was planned before",
                      fresh.plan.service + " " + to_rfc3339({fresh.plan.scheduled}));
  }
  Statement put(database,
                "INSERT INTO runs (run, service, scheduled, attempt, plan, origin, state, chores)"
                " VALUES (?, ?, ?, ?, ?, ?, 'scheduled', 0)");
  put.bind(1, fresh.plan.run);
  put.bind(2, fresh.plan.service);
  put.bind(3, fresh.plan.scheduled);
  put.bind(4, fresh.plan.attempt);
  bind_body(put, 5, plan_to_body(fresh.plan));
  bind_body(put, 6, origin_to_body(fresh.origin));
  put.exec();
  return {};
}

void insert_records(SQLite::Database& database, const Store::Change::NewRecords& fresh) {
  std::size_t n = fresh.run->records;
  Statement put(database, "INSERT INTO records (run, n, at, fact) VALUES (?, ?, ?, ?)");
  for (const run::Record& record : fresh.records) {
    put.bind(1, fresh.state.plan.run);
    put.bind(2, static_cast<std::int64_t>(n++));
    put.bind(3, record.at);
    bind_body(put, 4, record_to_body(record));
    put.exec();
    put.reset();
  }
  Statement mark(database, "UPDATE runs SET state = ?, chores = ? WHERE run = ?");
  mark.bind(1, run::phase_name(fresh.state.phase));
  mark.bind(2, run::has_chores(fresh.state) ? 1 : 0);
  mark.bind(3, fresh.state.plan.run);
  mark.exec();
}

void put_point(SQLite::Database& database, const std::string& cluster, const Body& point) {
  const auto moment = parse_rfc3339(point.at("moment").get<std::string>());
  Statement put(database,
                "INSERT OR REPLACE INTO points (id, service, cluster, moment, body)"
                " VALUES (?, ?, ?, ?, ?)");
  put.bind(1, point.at("id").get<std::string>());
  put.bind(2, point.at("service").get<std::string>());
  put.bind(3, cluster);
  put.bind(4, moment ? moment.value().count : 0);
  bind_body(put, 5, point);
  put.exec();
}

journal::ReplyKey begun_by(const std::string& message) { return {message, "run.start", 0}; }

}  // namespace

const journal::Migrations& store_migrations() {
  static const journal::Migrations migrations = {R"sql(
    CREATE TABLE runs (
      run TEXT PRIMARY KEY,
      service TEXT NOT NULL,
      scheduled INTEGER NOT NULL,
      attempt INTEGER NOT NULL,
      plan BLOB NOT NULL,
      origin BLOB NOT NULL,
      state TEXT NOT NULL,              -- of the fold of its records; here to be found by
      chores INTEGER NOT NULL,
      UNIQUE (service, scheduled, attempt)
    ) STRICT;
    CREATE INDEX runs_open ON runs (run) WHERE chores = 1
      OR state NOT IN ('complete', 'failed', 'aborted', 'missed');
    CREATE TABLE records (
      run TEXT NOT NULL REFERENCES runs (run),
      n INTEGER NOT NULL,
      at INTEGER NOT NULL,
      fact BLOB NOT NULL,
      PRIMARY KEY (run, n)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE schedules (
      service TEXT PRIMARY KEY,
      considered INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE points (
      id TEXT PRIMARY KEY,
      service TEXT NOT NULL,
      cluster TEXT NOT NULL,
      moment INTEGER NOT NULL,
      body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE prunings (
      point TEXT PRIMARY KEY,
      service TEXT NOT NULL,
      cluster TEXT NOT NULL,
      why TEXT NOT NULL,
      state TEXT NOT NULL,              -- intended, done, failed
      error TEXT NOT NULL,
      ended_at INTEGER NOT NULL
    ) STRICT;
  )sql",
                                                 kDrillTables, kUserDataTable};
  return migrations;
}

Result<void> Store::apply(const char* failpoint, const Change& change) {
  return journal_.transact(failpoint, [&](journal::Transaction& transaction) -> Result<void> {
    SQLite::Database& database = transaction.database();
    for (const Change::NewRun& fresh : change.runs) LOCKSTEP_CHECK(insert_run(database, fresh));
    if (!change.asked_by.empty()) {
      transaction.store_reply(begun_by(change.asked_by),
                              {true, {{"run", change.runs.front().plan.run}}});
    }
    for (const Change::NewRecords& fresh : change.records) insert_records(database, fresh);
    for (const auto& [service, instant] : change.considered) {
      Statement put(database,
                    "INSERT OR REPLACE INTO schedules (service, considered) VALUES (?, ?)");
      put.bind(1, service);
      put.bind(2, instant.count);
      put.exec();
    }
    for (const auto& [cluster, point] : change.points) put_point(database, cluster, point);
    for (const Emitted& event : change.events)
      transaction.emit(event.type, event.subject, event.data);
    return {};
  });
}

Result<std::vector<StoredRun>> Store::load(const std::string& where_order,
                                           const std::vector<std::string>& values) {
  std::vector<StoredRun> runs;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database, "SELECT plan, origin FROM runs " + where_order);
    for (std::size_t i = 0; i < values.size(); ++i) query.bind(static_cast<int>(i) + 1, values[i]);
    while (query.executeStep()) {
      LOCKSTEP_TRY(const Body plan_body, column_body(query, 0));
      LOCKSTEP_TRY(const Body origin_body, column_body(query, 1));
      LOCKSTEP_TRY(run::Plan plan, plan_from_body(plan_body));
      StoredRun stored;
      LOCKSTEP_TRY(stored.origin, origin_from_body(origin_body));
      stored.state = run::planned(std::move(plan));
      Statement records(database, "SELECT at, fact FROM records WHERE run = ? ORDER BY n");
      records.bind(1, stored.state.plan.run);
      while (records.executeStep()) {
        LOCKSTEP_TRY(const Body fact, column_body(records, 1));
        LOCKSTEP_TRY(const run::Record record,
                     record_from_body(records.getColumn(0).getInt64(), fact));
        run::fold(stored.state, record);
        ++stored.records;
      }
      runs.push_back(std::move(stored));
    }
    return {};
  }));
  return runs;
}

Result<std::vector<StoredRun>> Store::open_runs() {
  return load(
      "WHERE chores = 1 OR state NOT IN ('complete', 'failed', 'aborted', 'missed')"
      " ORDER BY run",
      {});
}

Result<std::optional<StoredRun>> Store::find_run(const std::string& run) {
  LOCKSTEP_TRY(auto runs, load("WHERE run = ?", {run}));
  if (runs.empty()) return std::optional<StoredRun>{};
  return std::optional<StoredRun>{std::move(runs.front())};
}

Result<std::vector<StoredRun>> Store::newest_runs(const std::string& service, std::size_t limit) {
  const std::string tail = " ORDER BY run DESC LIMIT " + std::to_string(limit);
  if (service.empty()) return load(tail, {});
  return load("WHERE service = ?" + tail, {service});
}

Result<std::optional<StoredRun>> Store::newest_in(const std::string& service, run::Phase phase) {
  LOCKSTEP_TRY(auto runs, load("WHERE service = ? AND state = ? ORDER BY run DESC LIMIT 1",
                               {service, run::phase_name(phase)}));
  if (runs.empty()) return std::optional<StoredRun>{};
  return std::optional<StoredRun>{std::move(runs.front())};
}

Result<std::string> Store::run_begun_by(const std::string& message) {
  LOCKSTEP_TRY(const auto reply, journal_.find_reply(begun_by(message)));
  std::string run = reply ? reply->body.at("run").get<std::string>() : std::string();
  if (run.empty()) return run;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database,
                    "SELECT run FROM runs WHERE (service, scheduled) ="
                    " (SELECT service, scheduled FROM runs WHERE run = ?)"
                    " ORDER BY attempt DESC LIMIT 1");
    query.bind(1, run);
    if (query.executeStep()) run = query.getColumn(0).getString();
    return {};
  }));
  return run;
}

Result<void> Store::forget_old_runs(std::size_t keep) {
  return journal_.transact("scheduler.forget",
                           [&](journal::Transaction& transaction) -> Result<void> {
                             const std::string old =
                                 "(SELECT run FROM runs WHERE chores = 0"
                                 " AND state IN ('complete', 'failed', 'aborted', 'missed')"
                                 " ORDER BY run DESC LIMIT -1 OFFSET " +
                                 std::to_string(keep) + ")";
                             transaction.database().exec("DELETE FROM records WHERE run IN " + old);
                             transaction.database().exec("DELETE FROM runs WHERE run IN " + old);
                             return {};
                           });
}

Result<std::optional<UtcNanos>> Store::considered(const std::string& service) {
  std::optional<UtcNanos> instant;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database, "SELECT considered FROM schedules WHERE service = ?");
    query.bind(1, service);
    if (query.executeStep()) instant = UtcNanos{query.getColumn(0).getInt64()};
    return {};
  }));
  return instant;
}

Result<void> Store::replace_points(const std::string& cluster, const std::vector<Body>& points) {
  return journal_.transact(
      "scheduler.catalog", [&](journal::Transaction& transaction) -> Result<void> {
        Statement forget(transaction.database(), "DELETE FROM points WHERE cluster = ?");
        forget.bind(1, cluster);
        forget.exec();
        for (const Body& point : points) put_point(transaction.database(), cluster, point);
        return {};
      });
}

Result<std::vector<Body>> Store::points(const std::string& service, const std::string& cluster) {
  std::vector<Body> points;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database,
                    "SELECT body FROM points WHERE (?1 = '' OR service = ?1)"
                    " AND (?2 = '' OR cluster = ?2) ORDER BY moment DESC, id DESC");
    query.bind(1, service);
    query.bind(2, cluster);
    while (query.executeStep()) {
      LOCKSTEP_TRY(Body point, column_body(query, 0));
      points.push_back(std::move(point));
    }
    return {};
  }));
  return points;
}

Result<void> Store::intend_pruning(const std::vector<Pruning>& prunings) {
  return journal_.transact(
      "scheduler.prune", [&](journal::Transaction& transaction) -> Result<void> {
        for (const Pruning& pruning : prunings) {
          // One that was deleted is not meant anew, by whoever saw a list from before.
          Statement put(transaction.database(),
                        "INSERT INTO prunings"
                        " (point, service, cluster, why, state, error, ended_at)"
                        " VALUES (?, ?, ?, ?, 'intended', '', 0)"
                        " ON CONFLICT (point) DO UPDATE SET why = excluded.why,"
                        " state = 'intended', error = '', ended_at = 0 WHERE state <> 'done'");
          put.bind(1, pruning.point);
          put.bind(2, pruning.service);
          put.bind(3, pruning.cluster);
          put.bind(4, pruning.why);
          put.exec();
        }
        return {};
      });
}

Result<void> Store::end_pruning(const Pruning& pruning, const std::optional<Error>& error,
                                UtcNanos now) {
  return journal_.transact(
      "scheduler.pruned", [&](journal::Transaction& transaction) -> Result<void> {
        SQLite::Database& database = transaction.database();
        Statement put(database,
                      "UPDATE prunings SET state = ?, error = ?, ended_at = ?"
                      " WHERE point = ? AND state = 'intended'");
        put.bind(1, error ? "failed" : "done");
        put.bind(2, error ? error->text() : "");
        put.bind(3, now.count);
        put.bind(4, pruning.point);
        const bool news = put.exec() > 0;
        if (error) return {};
        Statement forget(database, "DELETE FROM points WHERE id = ?");
        forget.bind(1, pruning.point);
        forget.exec();
        if (!news) return {};
        transaction.emit(
            "point.pruned", pruning.service,
            {{"id", pruning.point}, {"service", pruning.service}, {"why", pruning.why}});
        return {};
      });
}

Result<std::vector<Pruning>> Store::open_prunings() {
  std::vector<Pruning> prunings;
  LOCKSTEP_CHECK(journal_.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database,
                    "SELECT point, service, cluster, why FROM prunings WHERE state = 'intended'");
    while (query.executeStep()) {
      prunings.push_back({query.getColumn(0).getString(), query.getColumn(1).getString(),
                          query.getColumn(2).getString(), query.getColumn(3).getString()});
    }
    return {};
  }));
  return prunings;
}

}  // namespace lockstep::scheduler
