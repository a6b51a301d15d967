// `clock:` of lockstep.yaml: which source the clocks of a site over several hosts follow.
#pragma once

#include <string>
#include <vector>

#include "common/clock/moment.hpp"

namespace lockstep::config {

class Value;

struct ClockWish {
  // The names by which chrony shows the site's one source (an address, "GPS"), or "kernel"; empty:
  // none is named.
  std::vector<std::string> sources;
  Nanos max_error;  // 0: only a policy's max_skew limits it
};

ClockWish read_clock(const Value& value);

}  // namespace lockstep::config
