// Reading a configuration or policy document from disk.
#pragma once

#include <string>

#include "common/error/error.hpp"

namespace lockstep::config {

struct LoadedFile {
  std::string path;  // absolute, symbolic links resolved
  std::string text;
};

// A regular file of at most 1 MiB; symbolic links on the way to it are followed. Error:
// config-unreadable.
Result<LoadedFile> load_file(const std::string& path);

}  // namespace lockstep::config
