#include "services/gateway/kept.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

namespace lockstep::gateway {

namespace {

using transport::KeptEvents;

// Rows go in batches of this size, so that not every transaction deletes one.
constexpr std::uint64_t kTrimBatch = 256;

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }
std::uint64_t unsigned_of(const SQLite::Column& column) {
  return static_cast<std::uint64_t>(column.getInt64());
}

void remove_before(SQLite::Database& database, const std::string& source, std::uint64_t first) {
  SQLite::Statement remove{database, "DELETE FROM kept WHERE source = ? AND sequence < ?"};
  remove.bind(1, source);
  remove.bind(2, number(first));
  remove.exec();
}

void insert(SQLite::Database& database, const Arrival& event) {
  SQLite::Statement row{database,
                        "INSERT INTO kept (source, sequence, incarnation, topic, bytes)"
                        " VALUES (?, ?, ?, ?, ?)"};
  row.bind(1, event.source);
  row.bind(2, number(event.sequence));
  row.bind(3, event.incarnation);
  row.bind(4, event.topic);
  row.bind(5, event.bytes.data(), static_cast<int>(event.bytes.size()));
  row.exec();
}

}  // namespace

journal::Migrations migrations() {
  return {R"sql(
    CREATE TABLE kept (
      source TEXT NOT NULL,
      sequence INTEGER NOT NULL,
      incarnation TEXT NOT NULL,
      topic TEXT NOT NULL,
      bytes BLOB NOT NULL,
      PRIMARY KEY (source, sequence)
    ) STRICT, WITHOUT ROWID;
  )sql"};
}

Arrival arrival_of(const journal::Event& event, bool after_gap) {
  return {event.source,
          event.incarnation,
          event.sequence,
          after_gap,
          event.type + "/" + event.subject,
          message::pack_body(transport::event_body(event))};
}

Result<Kept> Kept::load(journal::Journal& journal, std::uint64_t limit) {
  Kept out{journal, limit};
  LOCKSTEP_CHECK(journal.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement select{database,
                             "SELECT source, min(sequence), max(sequence), max(incarnation)"
                             " FROM kept GROUP BY source"};
    while (select.executeStep()) {
      out.sources_[select.getColumn(0).getString()] = {select.getColumn(3).getString(),
                                                       unsigned_of(select.getColumn(1)),
                                                       unsigned_of(select.getColumn(2))};
    }
    return {};
  }));
  return out;
}

Result<void> Kept::add(const std::vector<Arrival>& arrivals) {
  auto sources = sources_;
  LOCKSTEP_CHECK(
      journal_->transact("gateway.keep", [&](journal::Transaction& transaction) -> Result<void> {
        auto& database = transaction.database();
        for (const auto& event : arrivals) {
          KeptEvents& range = sources[event.source];
          const bool anew = event.after_gap || range.incarnation != event.incarnation ||
                            event.sequence != range.last + 1;
          if (anew) {
            remove_before(database, event.source, std::uint64_t{1} << 62);
            range = {event.incarnation, event.sequence, 0};
          }
          insert(database, event);
          range.last = event.sequence;
          if (range.last - range.first + 1 >= limit_ + kTrimBatch) {
            range.first = range.last - limit_ + 1;
            remove_before(database, event.source, range.first);
          }
        }
        return {};
      }));
  sources_ = std::move(sources);
  return {};
}

Result<std::vector<std::string>> Kept::after(const std::string& source, std::uint64_t sequence,
                                             std::size_t limit, std::size_t bytes) const {
  std::vector<std::string> out;
  LOCKSTEP_CHECK(journal_->read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement select{database,
                             "SELECT bytes FROM kept WHERE source = ? AND sequence > ?"
                             " ORDER BY sequence LIMIT ?"};
    select.bind(1, source);
    select.bind(2, number(sequence));
    select.bind(3, static_cast<std::int64_t>(limit));
    std::size_t taken = 0;
    while (select.executeStep()) {
      const auto column = select.getColumn(0);
      taken += static_cast<std::size_t>(column.getBytes());
      if (!out.empty() && taken > bytes) return {};
      out.emplace_back(static_cast<const char*>(column.getBlob()),
                       static_cast<std::size_t>(column.getBytes()));
    }
    return {};
  }));
  return out;
}

}  // namespace lockstep::gateway
