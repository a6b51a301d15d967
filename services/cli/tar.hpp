// Tar: an archive of texts in memory (POSIX ustar).
#pragma once

#include <string>

#include "common/clock/moment.hpp"

namespace lockstep::cli {

class Tar {
 public:
  // Requires: the name has at most 100 bytes.
  void add(const std::string& name, const std::string& text, UtcNanos modified);
  // The whole archive, with its end.
  std::string bytes() const { return blocks_ + std::string(1024, '\0'); }

 private:
  std::string blocks_;
};

}  // namespace lockstep::cli
