#include "common/components/files/pin_errors.hpp"

#include <cerrno>

namespace lockstep::files {

Error set_error(int number, std::string_view act, const std::string& path) {
  switch (number) {
    case EACCES:
    case EPERM:
      return from_errno(ErrorCode::permission, number, act, path);
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ESTALE:
      return make_error(ErrorCode::set_changed, "it was removed or replaced while it was pinned",
                        path);
    default:
      return from_errno(ErrorCode::source_read, number, act, path);
  }
}

Error store_error(int number, std::string_view act, const std::string& path) {
  switch (number) {
    case EACCES:
    case EPERM:
    case EROFS:
      return from_errno(ErrorCode::permission, number, act, path);
    case ENOSPC:
    case EDQUOT:
      return from_errno(ErrorCode::no_space, number, act, path);
    default:
      return from_errno(ErrorCode::target_write, number, act, path);
  }
}

}  // namespace lockstep::files
