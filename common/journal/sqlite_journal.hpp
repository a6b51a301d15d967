// SqliteJournal: the journal on an open connection. Private to common/journal.
#pragma once

#include <SQLiteCpp/Database.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "common/journal/journal.hpp"

namespace lockstep::journal {

class SqliteJournal final : public Journal {
 public:
  // `connection` is open, checked and migrated. `clock` must outlive it.
  static Result<std::unique_ptr<Journal>> make(std::unique_ptr<SQLite::Database> connection,
                                               const OpenOptions& options, const Clock& clock);

  Result<void> transact(const char* failpoint,
                        const std::function<Result<void>(Transaction&)>& work) override;
  Result<void> read(const std::function<Result<void>(SQLite::Database&)>& work) override;
  Result<std::optional<StoredReply>> find_reply(const ReplyKey& key) override;
  const std::string& incarnation() const override { return incarnation_; }
  Result<std::vector<Event>> events_after(std::uint64_t sequence, std::size_t limit) override;
  std::uint64_t first_event() const override { return first_; }
  std::uint64_t last_event() const override { return last_; }
  WriteTimes write_times() const override;

 private:
  class Open;  // the transaction under way

  SqliteJournal(std::unique_ptr<SQLite::Database> connection, const OpenOptions& options,
                const Clock& clock)
      : connection_(std::move(connection)), options_(options), clock_(clock) {}

  Result<void> load();
  Result<void> enter();
  Error rolled_back(Error error);
  Result<void> trim(std::uint64_t last, std::uint64_t& first);
  void took(Nanos span);

  std::unique_ptr<SQLite::Database> connection_;
  const OpenOptions options_;
  const Clock& clock_;
  std::string incarnation_;

  std::mutex guard_;                       // of the connection, and of what follows
  std::atomic<std::thread::id> inside_{};  // who holds it: a call back into the journal is refused
  std::optional<Error> broken_;            // an error of writing that was final
  std::atomic<std::uint64_t> first_ = 0;   // atomic: asked for within transactions too
  std::atomic<std::uint64_t> last_ = 0;

  mutable std::mutex times_guard_;  // not guard_: who asks does not wait for a transaction
  WriteTimes times_;
};

}  // namespace lockstep::journal
