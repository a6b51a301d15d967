#include "common/components/sqlite/database.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace lockstep::sqlite {

namespace {

std::string immutable_uri(const std::string& path) {
  std::string out = "file:";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '/' || c == '.' || c == '-' || c == '_';
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02x}", byte);
    }
  }
  return out + "?immutable=1";
}

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

}  // namespace

Result<Database> Database::open(const std::string& path, Opening opening, ErrorCode failing) {
  Database out;
  out.path_ = path;
  out.failing_ = failing;
  int flags = SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_EXRESCODE;
  std::string name = path;
  switch (opening) {
    case Opening::live:
    case Opening::live_keep:
      flags |= SQLITE_OPEN_READWRITE;
      break;
    case Opening::own:
      flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
      break;
    case Opening::immutable:
      flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
      name = immutable_uri(path);
      break;
  }
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &handle, flags, nullptr);
  out.handle_.reset(handle);
  if (code != SQLITE_OK) return out.error(code, "cannot open the database");
  // The schema is whoever's: nothing that it names may run with side effects.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  if (opening != Opening::own) {  // (which writes a copy without a journal)
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  }
  if (opening == Opening::live_keep) {
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  }
  return out;
}

Error Database::error(int code, std::string_view act) const {
  const int primary = code & 0xff;
  const int system = handle_ ? sqlite3_system_errno(handle_.get()) : ENOMEM;
  const char* why = handle_ ? sqlite3_errmsg(handle_.get()) : sqlite3_errstr(code);
  ErrorCode ours = failing_;
  if (primary == SQLITE_FULL ||
      (primary == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT))) {
    ours = ErrorCode::no_space;
  } else if (primary == SQLITE_NOTADB) {
    ours = ErrorCode::sqlite_not_a_database;
  } else if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) {
    ours = ErrorCode::sqlite_busy;
  } else if (primary == SQLITE_CORRUPT) {
    ours = ErrorCode::sqlite_integrity;
  } else if (primary == SQLITE_READONLY || primary == SQLITE_PERM ||
             (primary == SQLITE_CANTOPEN &&
              (system == EACCES || system == EPERM || system == EROFS))) {
    ours = ErrorCode::permission;
  } else if (primary == SQLITE_INTERRUPT) {
    ours = ErrorCode::cancelled;
  }
  std::string what = fmt::format("{}: {}", act, why);
  if (system != 0 && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN)) {
    what += fmt::format(" ({})", std::strerror(system));
  }
  return make_error(ours, what, path_);
}

Result<void> Database::run(const std::string& sql) {
  const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code, fmt::format("`{}` failed", sql));
  return {};
}

Result<void> Database::each(const std::string& sql,
                            const std::function<bool(std::string_view)>& row) {
  sqlite3_stmt* raw = nullptr;
  int code = sqlite3_prepare_v2(handle_.get(), sql.c_str(), -1, &raw, nullptr);
  const Statement statement(raw);
  if (code != SQLITE_OK) return error(code, fmt::format("`{}` failed", sql));
  while ((code = sqlite3_step(raw)) == SQLITE_ROW) {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(raw, 0));
    const auto length = static_cast<std::size_t>(sqlite3_column_bytes(raw, 0));
    if (!row(bytes == nullptr ? std::string_view{} : std::string_view{bytes, length})) return {};
  }
  if (code != SQLITE_DONE) return error(code, fmt::format("`{}` failed", sql));
  return {};
}

Result<std::string> Database::text(const std::string& sql) {
  std::string out;
  bool first = true;
  LOCKSTEP_CHECK(each(sql, [&](std::string_view value) {
    if (first) out = value;
    first = false;
    return true;  // to the end: a statement left half-way would keep its read lock
  }));
  return out;
}

Result<std::int64_t> Database::number(const std::string& sql) {
  LOCKSTEP_TRY(const std::string value, text(sql));
  return static_cast<std::int64_t>(std::strtoll(value.c_str(), nullptr, 10));
}

void Database::on_busy(std::function<bool()> wait) {
  callbacks_->busy = std::move(wait);
  sqlite3_busy_handler(
      handle_.get(),
      [](void* callbacks, int) { return static_cast<Callbacks*>(callbacks)->busy() ? 1 : 0; },
      callbacks_.get());
}

void Database::on_progress(std::function<bool()> cancelled) {
  constexpr int kSteps = 10'000;
  callbacks_->progress = std::move(cancelled);
  sqlite3_progress_handler(
      handle_.get(), kSteps,
      [](void* callbacks) { return static_cast<Callbacks*>(callbacks)->progress() ? 1 : 0; },
      callbacks_.get());
}

bool Database::moved() const {
  int answer = 0;
  const int code = sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &answer);
  return code != SQLITE_OK || answer != 0;
}

namespace {

// "ok" alone is good; other rows say what is wrong, the first few are enough.
Result<std::string> complaints(Database& database, const std::string& sql) {
  std::string found;
  int rows = 0;
  LOCKSTEP_CHECK(database.each(sql, [&](std::string_view row) {
    if (row == "ok") return true;
    if (!found.empty()) found += "; ";
    found += row;
    return ++rows < 3;
  }));
  return found;
}

// What the application's own functions, collations and modules are called when they are missing.
bool needs_the_application(const Error& error) {
  return error.what.find("no such ") != std::string::npos ||
         error.what.find("unknown ") != std::string::npos;
}

std::string quoted(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    out += c;
    if (c == '"') out += c;
  }
  return out + "\"";
}

Result<std::string> complaints_by_table(Database& database) {
  std::vector<std::string> tables;
  LOCKSTEP_CHECK(
      database.each("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0",
                    [&](std::string_view name) {
                      tables.emplace_back(name);
                      return true;
                    }));
  std::string found;
  for (const auto& table : tables) {
    auto result = complaints(database, "PRAGMA integrity_check(" + quoted(table) + ")");
    if (!result) {
      if (needs_the_application(result.error())) continue;
      return result.error();
    }
    if (!result->empty()) found += (found.empty() ? "" : "; ") + *result;
  }
  return found;
}

// The check reads single pages in the order of the trees and waits for each that is not in memory.
// In the file's order and in large pieces the same pages come five times as fast, so they are read
// like that first, where all of them can stay.
Result<void> read_into_memory(os::Disk& disk, const std::string& path,
                              const std::function<bool()>& cancelled) {
  const auto memory = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                      static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  auto file = disk.open(os::kCwd, path, O_RDONLY);
  if (!file) return from_errno(ErrorCode::source_read, file.error().number, "open", path);
  auto seen = disk.stat(file->get());
  if (!seen) return from_errno(ErrorCode::source_read, seen.error().number, "look at", path);
  if (static_cast<std::uint64_t>(seen->st_size) > memory / 4) return {};
  std::vector<std::byte> piece(1 << 20);
  for (std::uint64_t at = 0;;) {
    if (cancelled && cancelled()) {
      return make_error(ErrorCode::cancelled, "the check was stopped", path);
    }
    auto got = disk.read_at(file->get(), at, piece);
    if (!got) return from_errno(ErrorCode::source_read, got.error().number, "read", path);
    if (*got == 0) return {};
    at += *got;
  }
}

}  // namespace

Result<void> check_integrity(os::Disk& disk, const std::string& path,
                             std::function<bool()> cancelled) {
  LOCKSTEP_CHECK(read_into_memory(disk, path, cancelled));
  LOCKSTEP_TRY(Database database, Database::open(path, Opening::immutable, ErrorCode::source_read));
  if (cancelled) database.on_progress(std::move(cancelled));
  auto found = complaints(database, "PRAGMA integrity_check");
  if (!found && needs_the_application(found.error())) found = complaints_by_table(database);
  if (!found) return found.error();
  if (found->empty()) return {};
  return make_error(ErrorCode::sqlite_integrity, "integrity_check: " + *found, path);
}

}  // namespace lockstep::sqlite
