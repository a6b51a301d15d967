// Database: one connection to an SQLite database, and SQLite's errors in our words.
//
// Thread rule: one thread at a time.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::sqlite {

enum class Opening {
  live,       // a user's database: read-write, never created
  live_keep,  // the same; its WAL and shared memory stay when we are the last to close it
  immutable,  // a version: read-only, takes no locks, makes no files beside it
  own,        // a file of the store that nobody else opens; created where it is missing
};

class Database {
 public:
  // `failing` is the code for errors that are not told apart better: source-read where a source is
  // opened, target-write where something is made. Errors: permission, sqlite-not-a-database,
  // sqlite-busy, no-space, `failing`.
  static Result<Database> open(const std::string& path, Opening opening, ErrorCode failing);

  // Runs statements that return nothing of interest.
  Result<void> run(const std::string& sql);
  // The first column of the first row; "" and 0 where there is none.
  Result<std::string> text(const std::string& sql);
  Result<std::int64_t> number(const std::string& sql);
  // Calls `row` with the first column of every row until it gives false.
  Result<void> each(const std::string& sql, const std::function<bool(std::string_view)>& row);

  // Asked each time a lock cannot be had at once; false gives up (sqlite-busy).
  void on_busy(std::function<bool()> wait);
  // Asked every few thousand steps of a long statement; true ends it (cancelled).
  void on_progress(std::function<bool()> cancelled);

  bool in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }
  bool read_only() const { return sqlite3_db_readonly(handle_.get(), "main") != 0; }
  // True where the file at the path is no longer the one that was opened.
  bool moved() const;

  sqlite3* handle() const { return handle_.get(); }
  const std::string& path() const { return path_; }
  // What the last call, which gave `code`, means.
  Error error(int code, std::string_view act) const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  // What the callbacks of the C interface are handed; its address must not change.
  struct Callbacks {
    std::function<bool()> busy;
    std::function<bool()> progress;
  };
  Database() = default;

  std::string path_;
  ErrorCode failing_ = ErrorCode::source_read;
  std::unique_ptr<Callbacks> callbacks_ = std::make_unique<Callbacks>();
  std::unique_ptr<sqlite3, Close> handle_;  // last: closed while the callbacks still stand
};

// PRAGMA integrity_check of a file that nobody writes. Tables that need functions or collations of
// the application's own, which are not known here, are left out of it. Errors: sqlite-integrity,
// sqlite-not-a-database, cancelled, source-read.
Result<void> check_integrity(os::Disk& disk, const std::string& path,
                             std::function<bool()> cancelled);

}  // namespace lockstep::sqlite
