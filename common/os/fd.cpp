#include "common/os/fd.hpp"

#include <unistd.h>

namespace lockstep::os {

void Fd::reset() {
  // Not retried on EINTR: on Linux the number is free again whatever close says (close(2)).
  if (number_ >= 0) ::close(std::exchange(number_, -1));
}

}  // namespace lockstep::os
