#include "common/components/files/side.hpp"

#include <cerrno>

#include "common/os/durable.hpp"

namespace lockstep::files {

namespace {

constexpr const char* kLetRead =
    "let the agent's user read it, exclude it, or run the agent as root";

Error failed_set(int number, std::string_view act, std::string where) {
  switch (number) {
    case EACCES:
    case EPERM: {
      Error refused = from_errno(ErrorCode::permission, number, act, std::move(where));
      refused.hint = kLetRead;
      return refused;
    }
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ESTALE:
      return make_error(ErrorCode::set_changed, "it was removed or replaced while it was pinned",
                        std::move(where));
    default:
      return from_errno(ErrorCode::source_read, number, act, std::move(where));
  }
}

}  // namespace

Error failed(Side side, os::Errno error, std::string_view act, std::string where) {
  if (side == Side::set) return failed_set(error.number, act, std::move(where));
  if (side == Side::source) {
    Error made = from_errno(ErrorCode::source_read, error.number, act, std::move(where));
    const bool refused = error.number == EACCES || error.number == EPERM;
    if (refused) made.hint = kLetRead;
    return made;
  }
  return os::write_error(error, act, std::move(where));
}

std::string full_path(const std::string& root, std::string_view path) {
  if (path.empty()) return root;
  std::string whole = root;
  if (whole.empty() || whole.back() != '/') whole += '/';
  whole += path;
  return whole;
}

}  // namespace lockstep::files
