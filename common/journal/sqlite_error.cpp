#include "common/journal/sqlite_error.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

namespace lockstep::journal {

namespace {

ErrorCode code_of(int primary) {
  switch (primary) {
    case SQLITE_FULL:
      return ErrorCode::journal_full;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::journal_corrupt;
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
      return ErrorCode::journal_write;
    default:
      return ErrorCode::internal;
  }
}

}  // namespace

Error from_sqlite(const SQLite::Exception& exception, std::string_view act,
                  const std::string& where) {
  const int extended = exception.getExtendedErrorCode() != -1 ? exception.getExtendedErrorCode()
                                                              : exception.getErrorCode();
  return make_error(code_of(extended & 0xff),
                    fmt::format("cannot {}: {} (SQLite {})", act, exception.what(), extended),
                    where);
}

}  // namespace lockstep::journal
