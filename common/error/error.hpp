// Error: what every fallible function of this project returns in place of its value.
//
// The codes come from one table, common/errors.yaml, from which the build makes
// "common/error/error_codes.hpp" (enum class ErrorCode and its descriptions). A code fixes the exit
// status of the command line and the standing hint; `what` says what happened, `where` says to
// which thing (a path, a data set, `file:line:column`, an endpoint).
//
// Thread rule: values; share nothing.
#pragma once

#include <string>
#include <string_view>

#include "common/error/error_codes.hpp"
#include "common/error/result.hpp"

namespace lockstep {

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string what;   // a sentence without its full stop: "cannot open the database"
  std::string where;  // what it happened to; may be empty
  std::string hint;   // what to do next; where empty, the table's hint for `code` holds

  // "cannot open the database: /srv/orders/ledger.db [sqlite-not-a-database]"
  std::string text() const;
  // `hint`, or the table's.
  std::string_view advice() const;
};

template <class T>
using Result = Expected<T, Error>;

Error make_error(ErrorCode code, std::string what, std::string where = {}, std::string hint = {});

// An error that a system call left in errno: "cannot <act>: <strerror>". `code` says which side
// failed (source-read, target-write, ...); ENOSPC, EACCES/EPERM and EROFS keep their own meaning in
// the text, so that "disk full" is never hidden behind "write failed".
Error from_errno(ErrorCode code, int error_number, std::string_view act, std::string where = {});

// The table. `name` is the stable, hyphenated name ("target-write"); unknown names give nullptr.
struct ErrorInfo {
  ErrorCode code;
  int number;        // stable, appears in JSON
  const char* name;  // stable, appears in JSON and in text
  int exit_status;   // 1 failed, 2 usage, 3 refused by a guard, 4 not reachable
  const char* hint;
};
const ErrorInfo& error_info(ErrorCode code);
const ErrorInfo* find_error(std::string_view name);

}  // namespace lockstep
