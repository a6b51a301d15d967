#include "common/error/error.hpp"

#include <array>
#include <cstring>

namespace lockstep {

namespace {
constexpr ErrorInfo kTable[] = {
#include "common/error/error_table.inc"
};
}  // namespace

std::string Error::text() const {
  std::string out = what;
  if (!where.empty()) out += ": " + where;
  out += " [";
  out += error_info(code).name;
  out += "]";
  return out;
}

std::string_view Error::advice() const {
  return hint.empty() ? std::string_view{error_info(code).hint} : std::string_view{hint};
}

Error make_error(ErrorCode code, std::string what, std::string where, std::string hint) {
  return Error{code, std::move(what), std::move(where), std::move(hint)};
}

Error from_errno(ErrorCode code, int error_number, std::string_view act, std::string where) {
  std::array<char, 128> buffer{};
  const char* reason = ::strerror_r(error_number, buffer.data(), buffer.size());
  std::string what = "cannot ";
  what += act;
  what += ": ";
  what += reason;
  return Error{code, std::move(what), std::move(where), {}};
}

const ErrorInfo& error_info(ErrorCode code) {
  for (const auto& row : kTable) {
    if (row.code == code) return row;
  }
  return kTable[0];  // `internal` is the first row of the table
}

const ErrorInfo* find_error(std::string_view name) {
  for (const auto& row : kTable) {
    if (name == row.name) return &row;
  }
  return nullptr;
}

}  // namespace lockstep
