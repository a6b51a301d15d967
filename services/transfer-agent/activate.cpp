#include "services/transfer-agent/activate.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include "common/component/companions.hpp"
#include "common/component/gives_at_once.hpp"
#include "common/component/makes_live.hpp"
#include "common/message/bytes.hpp"
#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"
#include "services/transfer-agent/restore.hpp"
#include "services/transfer-agent/sets.hpp"

namespace lockstep::transfer {

using message::Body;
using SQLite::Statement;

const char* const kActivationTable = R"sql(
CREATE TABLE activation (
  promotion TEXT NOT NULL, service TEXT NOT NULL, set_name TEXT NOT NULL, point TEXT NOT NULL,
  staged INTEGER NOT NULL, done INTEGER NOT NULL, entries INTEGER NOT NULL, bytes INTEGER NOT NULL,
  PRIMARY KEY (promotion, service, set_name)) STRICT;
)sql";

namespace {

struct Row {
  std::string point;
  bool staged = false;
  bool done = false;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
};

// One set of one promotion.
class Activation {
 public:
  Activation(const Agent& agent, std::string promotion, std::string service, RestorePlace place)
      : agent_(agent),
        promotion_(std::move(promotion)),
        service_(std::move(service)),
        place_(std::move(place)) {
    while (place_.place.location.size() > 1 && place_.place.location.back() == '/') {
      place_.place.location.pop_back();
    }
  }

  const std::string& live() const { return place_.place.location; }
  std::string aside() const { return live() + ".before-" + promotion_; }
  std::string staged() const { return live() + ".promoted-" + promotion_; }

  Result<Row> row() const {
    Row out;
    LOCKSTEP_CHECK(agent_.journal.read([&](SQLite::Database& database) -> Result<void> {
      Statement query(database,
                      "SELECT point, staged, done, entries, bytes FROM activation"
                      " WHERE promotion = ? AND service = ? AND set_name = ?");
      query.bind(1, promotion_);
      query.bind(2, service_);
      query.bind(3, place_.set);
      if (query.executeStep()) {
        out = {query.getColumn(0).getString(), query.getColumn(1).getInt() != 0,
               query.getColumn(2).getInt() != 0,
               static_cast<std::uint64_t>(query.getColumn(3).getInt64()),
               static_cast<std::uint64_t>(query.getColumn(4).getInt64())};
      }
      return {};
    }));
    return out;
  }

  Result<void> put(const Row& row, const char* failpoint) const {
    return agent_.journal.transact(
        failpoint, [&](journal::Transaction& transaction) -> Result<void> {
          Statement put(transaction.database(),
                        "INSERT INTO activation VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO"
                        " UPDATE SET staged = excluded.staged, done = excluded.done,"
                        " entries = excluded.entries, bytes = excluded.bytes");
          put.bind(1, promotion_);
          put.bind(2, service_);
          put.bind(3, place_.set);
          put.bind(4, row.point);
          put.bind(5, row.staged ? 1 : 0);
          put.bind(6, row.done ? 1 : 0);
          put.bind(7, static_cast<std::int64_t>(row.entries));
          put.bind(8, static_cast<std::int64_t>(row.bytes));
          put.exec();
          return {};
        });
  }

  // A copy beside the place is whole as soon as it has its name: giving back builds elsewhere.
  // `set`: the record's. Where the store can give the version back at once, nobody counts it again.
  Result<void> stage(component::Target& target, const component::Context& context,
                     const component::Version& version, const Body& set, Row& row) const {
    if (!os::exists(agent_.disk, staged())) {
      const component::Place beside{staged(), place_.place.options};
      bool given = false;
      if (auto* at_once = dynamic_cast<component::GivesAtOnce*>(&target)) {
        LOCKSTEP_TRY(given, at_once->give_at_once(context, version, beside));
      }
      if (given) {
        row.entries = set.at("entries").get<std::uint64_t>();
        row.bytes = set.at("bytes").get<std::uint64_t>();
      } else {
        LOCKSTEP_TRY(const auto restored, target.restore(context, version, beside, {}, false));
        row.entries = restored.entries;
        row.bytes = restored.bytes;
      }
    }
    os::failpoint("activate.staged");
    row.staged = true;
    return put(row, "activate.staged_row");
  }

  Result<void> make_live(component::MakesLive& maker, const component::Context& context,
                         const component::Version& version, Row& row) const {
    LOCKSTEP_TRY(const auto made, maker.make_live(context, version, place_.place));
    if (!made.moved_aside.empty()) {
      spdlog::warn("what {} held beside its points is kept at {}", live(), made.moved_aside);
    }
    row.entries = made.entries;
    row.bytes = made.bytes;
    return {};
  }

  // Under the publishing lock. Each rename is found done when it is done again.
  Result<void> put_live(const component::Target& target) const {
    if (!os::exists(agent_.disk, staged())) return {};  // it is live already
    if (const auto* more = dynamic_cast<const component::Companions*>(&target)) {
      for (const std::string& end : more->companions()) LOCKSTEP_CHECK(move_aside(end));
    }
    LOCKSTEP_CHECK(move_aside({}));
    os::failpoint("activate.aside");
    auto renamed = agent_.disk.rename(os::kCwd, staged(), os::kCwd, live(), false);
    if (!renamed) {
      return from_errno(ErrorCode::target_write, renamed.error().number, "make live at", live());
    }
    os::failpoint("activate.live");
    return os::make_names_last(agent_.disk, os::directory_of(live()));
  }

 private:
  Result<void> move_aside(const std::string& end) const {
    auto moved = agent_.disk.rename(os::kCwd, live() + end, os::kCwd, aside() + end, false);
    if (moved || moved.error().number == ENOENT) return {};
    Error refused =
        from_errno(ErrorCode::target_write, moved.error().number, "move aside", live() + end);
    if (moved.error().number == EBUSY) {
      refused.hint = "a file system is mounted there: a data set's place is a directory below one";
    }
    if (moved.error().number == EEXIST) {
      refused.hint = "somebody put something there since this promotion moved the old aside";
    }
    return refused;
  }

  const Agent& agent_;
  std::string promotion_;
  std::string service_;
  RestorePlace place_;
};

component::Health root_health(os::Disk& disk, const std::string& root) {
  auto opened = disk.open(os::kCwd, root, O_RDONLY | O_DIRECTORY);
  if (!opened)
    return {false, from_errno(ErrorCode::io, opened.error().number, "open", root).text()};
  auto kind = disk.file_system(opened->get());
  if (!kind) return {false, from_errno(ErrorCode::io, kind.error().number, "look at", root).text()};
  if (kind->read_only) return {false, "the file system of " + root + " is read-only"};
  auto space = disk.space(opened->get());
  if (space && space->free_bytes == 0) return {false, "the file system of " + root + " is full"};
  return {true, root + " opens, on " + kind->name};
}

}  // namespace

Result<Body> activate_point(const Agent& agent, const RecordStore& records, EpochKeeper& epochs,
                            const message::Envelope& envelope, std::stop_token stop,
                            ProgressBoard& board) {
  LOCKSTEP_CHECK(epochs.admit(envelope.epoch));
  const std::string promotion = envelope.epoch.promotion;
  LOCKSTEP_TRY(const Body record, records.find(envelope.body.at("id").get<std::string>()));
  const std::string point = record.at("id").get<std::string>();
  const Body in_place{
      {"id", point}, {"in_place", true}, {"replace", true}, {"sets", Body::array()}, {"path", ""}};
  LOCKSTEP_TRY(const auto places, restore_places(record, in_place, agent.cluster, agent.root));
  Body sets = Body::array();
  for (const RestorePlace& place : places) {
    const Body& set = *find_set(record.at("sets"), place.set);
    const auto version = version_in(record, set);
    auto* component = agent.components.find(version.component);
    auto* target = component == nullptr ? nullptr : component->target();
    auto* maker = dynamic_cast<component::MakesLive*>(target);
    if (target == nullptr || (maker == nullptr && !component->places_are_paths())) {
      return make_error(ErrorCode::not_supported, "this agent cannot make that component live",
                        version.component);
    }
    component::Context context;
    context.run = point;
    context.stop = stop;
    context.progress = [&board, name = place.set](std::uint64_t entries, std::uint64_t bytes) {
      board.put(name, {entries, bytes});
    };
    const Activation activation(agent, promotion, record.at("service").get<std::string>(), place);
    LOCKSTEP_TRY(Row row, activation.row());
    if (!row.point.empty() && row.point != point) {
      return make_error(ErrorCode::guard,
                        "this promotion has begun to make another point of the service live",
                        row.point);
    }
    row.point = point;
    if (!row.staged && maker == nullptr) {
      LOCKSTEP_CHECK(activation.stage(*target, context, version, set, row));
    }
    if (!row.done) {
      LOCKSTEP_CHECK(epochs.publish(envelope.epoch, [&] {
        return maker != nullptr ? activation.make_live(*maker, context, version, row)
                                : activation.put_live(*target);
      }));
      row.done = true;
      LOCKSTEP_CHECK(activation.put(row, "activate.done"));
      spdlog::info("{} of point {} is live at {}", place.set, point, activation.live());
    }
    Body shown{{"name", place.set},
               {"path", message::text_or_bytes(activation.live())},
               {"entries", row.entries},
               {"bytes", row.bytes}};
    if (maker == nullptr && os::exists(agent.disk, activation.aside())) {
      shown["moved_aside"] = message::text_or_bytes(activation.aside());
    }
    sets.push_back(std::move(shown));
  }
  return Body{{"sets", std::move(sets)}};
}

Result<Body> look_at_health(const Agent& agent, StoreWatch& watch, const Body& request) {
  Body stores = Body::array();
  const auto add = [&](const std::string& name, const component::Health& health) {
    stores.push_back(
        {{"name", name}, {"good", health.good}, {"detail", message::text_or_bytes(health.detail)}});
  };
  add("root", root_health(agent.disk, agent.root));
  std::vector<component::DataSet> places;
  for (const Body& set : request.at("sets")) {
    component::DataSet& place = places.emplace_back();
    place.id = {set.at("service").get<std::string>(), set.at("name").get<std::string>()};
    place.component = set.at("component").get<std::string>();
    place.place.location = message::bytes_of(set.at("location"));
  }
  const StoreWatch::Told told = watch.look(places);
  for (const auto& row : told.rows) add(row.name, row.health);
  Body out{{"stores", std::move(stores)}};
  if (told.pending) out["pending"] = true;
  return out;
}

}  // namespace lockstep::transfer
