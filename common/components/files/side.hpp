// Side: which end of a backup a failing call belongs to, so that reading the source and writing the
// target are told apart (common/errors.yaml: source-read; target-write, no-space, permission).
#pragma once

#include <string>
#include <string_view>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

enum class Side { source, target };

// "cannot <act>: <strerror>: <where>" with the code that belongs to the side and to errno.
Error failed(Side side, os::Errno error, std::string_view act, std::string where);

// "<root>/<path>", or the root itself for the empty path.
std::string full_path(const std::string& root, std::string_view path);

}  // namespace lockstep::files
