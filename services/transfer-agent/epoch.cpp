#include "services/transfer-agent/epoch.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include "common/service/epoch.hpp"

namespace lockstep::transfer {

using service::EpochVerdict;

Result<std::unique_ptr<EpochKeeper>> EpochKeeper::load(journal::Journal& journal,
                                                       const message::Epoch& first) {
  message::Epoch held = first;
  LOCKSTEP_CHECK(journal.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement query(database, "SELECT number, promotion FROM identity");
    if (query.executeStep()) {
      held.number = static_cast<std::uint64_t>(query.getColumn(0).getInt64());
      held.promotion = query.getColumn(1).getString();
    }
    return {};
  }));
  return std::unique_ptr<EpochKeeper>(new EpochKeeper(journal, std::move(held)));
}

message::Epoch EpochKeeper::current() const {
  const std::scoped_lock lock(guard_);
  return held_;
}

Result<void> EpochKeeper::admit(const message::Epoch& given) {
  if (!known_) {
    return make_error(ErrorCode::unreachable,
                      "this registrar does not know the identity epoch yet");
  }
  return raise(given);
}

Result<void> EpochKeeper::raise(const message::Epoch& given) {
  LOCKSTEP_CHECK(service::check_epoch(current(), given));
  if (service::compare_epochs(current(), given) != EpochVerdict::newer) return {};

  const std::scoped_lock publishing(publishing_);
  const message::Epoch held = current();
  LOCKSTEP_CHECK(service::check_epoch(held, given));  // another raise may have come first
  if (service::compare_epochs(held, given) != EpochVerdict::newer) return {};
  LOCKSTEP_CHECK(
      journal_.transact("epoch.raise", [&](journal::Transaction& transaction) -> Result<void> {
        SQLite::Statement put(transaction.database(),
                              "INSERT INTO identity (only_row, number, promotion) VALUES (1, ?, ?)"
                              " ON CONFLICT DO UPDATE SET number = excluded.number,"
                              " promotion = excluded.promotion");
        put.bind(1, static_cast<std::int64_t>(given.number));
        put.bind(2, given.promotion);
        put.exec();
        return {};
      }));
  const std::scoped_lock lock(guard_);
  held_ = given;
  return {};
}

Result<void> EpochKeeper::publish(const message::Epoch& under,
                                  const std::function<Result<void>()>& work) {
  const std::scoped_lock publishing(publishing_);
  LOCKSTEP_CHECK(service::check_epoch(current(), under));
  return work();
}

}  // namespace lockstep::transfer
