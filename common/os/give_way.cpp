#include "common/os/give_way.hpp"

#include <sys/resource.h>

namespace lockstep::os {

void give_way(int nice) {
  constexpr ::id_t kThisThread = 0;
  if (::getpriority(PRIO_PROCESS, kThisThread) >= nice) return;
  static_cast<void>(::setpriority(PRIO_PROCESS, kThisThread, nice));
}

}  // namespace lockstep::os
