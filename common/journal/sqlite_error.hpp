// What SQLite reports, as this project's errors. Private to common/journal.
#pragma once

#include <SQLiteCpp/Exception.h>

#include <string_view>

#include "common/error/error.hpp"

namespace lockstep::journal {

// journal-full where the disk or a quota is, journal-corrupt where the file is damaged,
// journal-write where writing failed in any other way; `internal` for what only a defect of ours
// can cause (SQL that is wrong, a constraint that does not hold).
Error from_sqlite(const SQLite::Exception& exception, std::string_view act,
                  const std::string& where);

}  // namespace lockstep::journal
