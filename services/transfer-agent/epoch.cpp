#include "services/transfer-agent/epoch.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>

namespace lockstep::transfer {

namespace {

Error refused(EpochVerdict verdict, const message::Epoch& held, const message::Epoch& given) {
  if (verdict == EpochVerdict::contradicts) {
    return make_error(
        ErrorCode::epoch_old,
        fmt::format("identity epoch {} is held by promotion {}, the command names promotion {}",
                    held.number, held.promotion, given.promotion));
  }
  return make_error(
      ErrorCode::epoch_old,
      fmt::format("the command was given under identity epoch {}, this agent holds {}",
                  given.number, held.number));
}

}  // namespace

EpochVerdict judge_epoch(const message::Epoch& held, const message::Epoch& given) {
  if (given.number < held.number) return EpochVerdict::older;
  if (given.number > held.number) return EpochVerdict::newer;
  return given.promotion == held.promotion ? EpochVerdict::same : EpochVerdict::contradicts;
}

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
  const auto at_first = judge_epoch(current(), given);
  if (at_first == EpochVerdict::same) return {};
  if (at_first != EpochVerdict::newer) return refused(at_first, current(), given);

  const std::scoped_lock publishing(publishing_);
  const message::Epoch held = current();
  const auto verdict = judge_epoch(held, given);  // another raise may have come first
  if (verdict == EpochVerdict::same) return {};
  if (verdict != EpochVerdict::newer) return refused(verdict, held, given);
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
  const message::Epoch held = current();
  const auto verdict = judge_epoch(held, under);
  if (verdict != EpochVerdict::same) return refused(verdict, held, under);
  return work();
}

}  // namespace lockstep::transfer
