// Which side failed: errors of reading the data set and of writing its pin are told apart.
#pragma once

#include <string>
#include <string_view>

#include "common/error/error.hpp"

namespace lockstep::files {

// Reading the data set: permission, set-changed (what was seen is gone: something writes), else
// source-read.
Error set_error(int number, std::string_view act, const std::string& path);
// Writing in the store: permission, no-space, else target-write.
Error store_error(int number, std::string_view act, const std::string& path);

}  // namespace lockstep::files
