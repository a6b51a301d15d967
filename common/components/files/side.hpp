// Side: which end of a backup a failing call belongs to, so that reading the source and writing the
// target are told apart:
//   set     the data set itself, while it is pinned: permission, set-changed (what was seen is
//   gone:
//           something writes), else source-read
//   source  what was pinned: source-read
//   target  os::write_error's: target-write, no-space, permission
#pragma once

#include <string>
#include <string_view>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

enum class Side { set, source, target };

// "cannot <act>: <strerror>: <where>" with the code that belongs to the side and to errno.
Error failed(Side side, os::Errno error, std::string_view act, std::string where);

// "<root>/<path>", or the root itself for the empty path.
std::string full_path(const std::string& root, std::string_view path);

}  // namespace lockstep::files
