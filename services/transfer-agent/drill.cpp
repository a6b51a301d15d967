#include "services/transfer-agent/drill.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <spdlog/spdlog.h>

#include <optional>

#include "common/component/discards.hpp"
#include "common/message/bytes.hpp"
#include "common/os/failpoint.hpp"
#include "common/os/remove_tree.hpp"
#include "common/service/log.hpp"
#include "services/transfer-agent/restore.hpp"
#include "services/transfer-agent/sets.hpp"

namespace lockstep::transfer {

using message::Body;
using SQLite::Statement;

const char* const kDrillTable = R"sql(
CREATE TABLE drill (
  drill TEXT PRIMARY KEY, service TEXT NOT NULL, started_at INTEGER NOT NULL,
  ended INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
)sql";

namespace {

constexpr std::size_t kOutput = 4000;  // bytes of the check's output that are recorded
constexpr std::size_t kListed = 100;

}  // namespace

Result<void> Drills::put(const Body& row, bool ended) {
  return agent_.journal.transact(
      ended ? "drill.ended" : "drill.begun",
      [&](journal::Transaction& transaction) -> Result<void> {
        Statement put(transaction.database(),
                      "INSERT INTO drill VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                      " ended = excluded.ended, body = excluded.body");
        put.bind(1, row.at("drill").get<std::string>());
        put.bind(2, row.at("service").get<std::string>());
        LOCKSTEP_TRY(const UtcNanos started,
                     parse_rfc3339(row.at("started_at").get<std::string>()));
        put.bind(3, started.count);
        put.bind(4, ended ? 1 : 0);
        put.bind(5, message::showable(row).dump());
        put.exec();
        if (ended) transaction.emit("drill.ended", row.at("service").get<std::string>(), row);
        return {};
      });
}

bool Drills::uses(const std::string& point) const {
  const std::scoped_lock lock(guard_);
  return used_.contains(point);
}

Result<Body> Drills::drill(const message::Envelope& envelope, std::stop_token stop,
                           ProgressBoard& board) {
  const std::string id = envelope.body.at("drill").get<std::string>();
  std::optional<Body> known;
  bool ended = false;
  LOCKSTEP_CHECK(agent_.journal.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database, "SELECT body, ended FROM drill WHERE drill = ?");
    query.bind(1, id);
    if (query.executeStep()) {
      known = Body::parse(query.getColumn(0).getString());
      ended = query.getColumn(1).getInt() != 0;
    }
    return {};
  }));
  if (known && ended) return std::move(*known);
  if (known) return make_error(ErrorCode::run_busy, "the drill is under way", id);
  LOCKSTEP_TRY(const Body record, records_.find(envelope.body.at("id").get<std::string>()));
  const std::string point = record.at("id").get<std::string>();
  {
    const std::scoped_lock lock(guard_);
    if (!used_.insert(point).second) {
      return make_error(ErrorCode::run_busy, "a drill of that point is under way", point);
    }
  }
  Body row{{"drill", id},
           {"service", record.at("service")},
           {"point", point},
           {"moment", record.at("moment")},
           {"started_at", to_rfc3339(agent_.clock.utc())},
           {"outcome", "interrupted"}};
  auto looked = [&]() -> Result<Body> {
    LOCKSTEP_CHECK(put(row, false));
    return look(envelope, stop, board, row);
  }();
  const std::scoped_lock lock(guard_);
  used_.erase(point);
  return looked;
}

Result<void> Drills::clean_up(const std::string& id, const std::string& point) {
  const std::string place = place_of(id);
  LOCKSTEP_CHECK(os::remove_tree(agent_.disk, os::kCwd, place));
  auto record = records_.find(point);
  if (!record) {
    // Of a point that went after this process's predecessor had died nobody knows the sets' kinds.
    if (record.error().code == ErrorCode::not_found) return {};
    return std::move(record).error();
  }
  std::set<std::string> done;
  for (const Body& set : record->at("sets")) {
    const std::string kind = version_in(*record, set).component;
    auto* component = agent_.components.find(kind);
    if (component == nullptr || component->places_are_paths() || !done.insert(kind).second)
      continue;
    if (auto* store = dynamic_cast<component::Discards*>(component->target())) {
      LOCKSTEP_CHECK(store->discard({place, {}}));
    }
  }
  return {};
}

Result<Body> Drills::look(const message::Envelope& envelope, std::stop_token stop,
                          ProgressBoard& board, Body row) {
  const std::string id = row.at("drill").get<std::string>();
  const std::string place = place_of(id);
  message::Envelope giving_back = envelope;
  giving_back.id = id;
  giving_back.body = {{"id", row.at("point")}, {"in_place", false},
                      {"replace", false},      {"to", message::text_or_bytes(place)},
                      {"sets", Body::array()}, {"path", ""}};
  const MonoNanos begun = agent_.clock.mono();
  const auto restored = restore_point(agent_, records_, giving_back, stop, board);
  row["recovery_ns"] = (agent_.clock.mono() - begun).count;
  os::failpoint("drill.restored");
  if (!restored) {
    row["outcome"] = "not-restored";
    row["said"] = message::text_or_bytes(restored.error().text());
  } else {
    row["sets"] = restored->at("sets");
    os::Command command;
    for (const Body& word : envelope.body.at("check")) {
      command.argv.push_back(message::bytes_of(word));
    }
    command.directory = place;
    command.environment = {{"LOCKSTEP_DRILL", place},
                           {"LOCKSTEP_POINT", row.at("point").get<std::string>()},
                           {"LOCKSTEP_SERVICE", row.at("service").get<std::string>()},
                           {"LOCKSTEP_MOMENT", row.at("moment").get<std::string>()}};
    const MonoNanos checking = agent_.clock.mono();
    const auto checked =
        processes_.run(command, {envelope.body.at("timeout_ns").get<std::int64_t>()}, stop);
    row["check_ns"] = (agent_.clock.mono() - checking).count;
    if (!checked) {
      row["outcome"] = "check-failed";
      row["said"] = message::text_or_bytes(checked.error().text());
    } else {
      const bool good = checked->exit_status == 0 && !checked->timed_out;
      row["outcome"] = good ? "good" : checked->timed_out ? "check-timed-out" : "check-failed";
      row["exit_status"] = checked->exit_status;
      const auto& output = checked->output;
      row["said"] = message::text_or_bytes(
          output.substr(output.size() > kOutput ? output.size() - kOutput : 0));
    }
  }
  os::failpoint("drill.checked");
  LOCKSTEP_CHECK(clean_up(id, row.at("point").get<std::string>()));
  row["ended_at"] = to_rfc3339(agent_.clock.utc());
  LOCKSTEP_CHECK(put(row, true));
  spdlog::info("drill {} of point {}: {}", id, row.at("point").get<std::string>(),
               row.at("outcome").get<std::string>());
  return row;
}

Result<Body> Drills::list(const Body& request) const {
  Body rows = Body::array();
  const std::string service = request.value("service", "");
  LOCKSTEP_CHECK(agent_.journal.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database,
                    "SELECT body FROM drill WHERE ended = 1 AND (?1 = '' OR service = ?1)"
                    " ORDER BY started_at DESC LIMIT ?2");
    query.bind(1, service);
    query.bind(2, static_cast<std::int64_t>(kListed));
    while (query.executeStep()) rows.push_back(Body::parse(query.getColumn(0).getString()));
    return {};
  }));
  return Body{{"drills", std::move(rows)}};
}

Result<void> Drills::recover() {
  Body open = Body::array();
  LOCKSTEP_CHECK(agent_.journal.read([&](SQLite::Database& database) -> Result<void> {
    Statement query(database, "SELECT body FROM drill WHERE ended = 0");
    while (query.executeStep()) open.push_back(Body::parse(query.getColumn(0).getString()));
    return {};
  }));
  for (Body& row : open) {
    const auto cleaned =
        clean_up(row.at("drill").get<std::string>(), row.at("point").get<std::string>());
    if (!cleaned) {  // the next start tries again
      service::log_error(cleaned.error());
      continue;
    }
    row["ended_at"] = to_rfc3339(agent_.clock.utc());
    LOCKSTEP_CHECK(put(row, true));
  }
  return {};
}

}  // namespace lockstep::transfer
