#include "common/components/files/side.hpp"

#include <cerrno>

namespace lockstep::files {

Error failed(Side side, os::Errno error, std::string_view act, std::string where) {
  const int number = error.number;
  const bool refused = number == EACCES || number == EPERM;
  if (side == Side::source) {
    Error made = from_errno(ErrorCode::source_read, number, act, std::move(where));
    if (refused) made.hint = "let the agent's user read it, exclude it, or run the agent as root";
    return made;
  }
  ErrorCode code = ErrorCode::target_write;
  if (number == ENOSPC || number == EDQUOT) code = ErrorCode::no_space;
  if (refused || number == EROFS) code = ErrorCode::permission;
  return from_errno(code, number, act, std::move(where));
}

std::string full_path(const std::string& root, std::string_view path) {
  if (path.empty()) return root;
  std::string whole = root;
  if (whole.empty() || whole.back() != '/') whole += '/';
  whole += path;
  return whole;
}

}  // namespace lockstep::files
