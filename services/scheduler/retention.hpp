// Retention: which recovery points of one service stay. Pure; whole points only.
//
// Rules keep, nothing else deletes: `last` keeps the newest n; `hourly`, `daily`, `weekly` and
// `monthly` keep the newest point of each of the newest n hours, days, ISO weeks or months that
// have one, by the calendar of the zone. A point whose verification failed takes nobody's place.
// Guards: without any rule everything is kept, and the newest good point is kept whatever the rules
// say.
#pragma once

#include <string>
#include <vector>

#include "common/clock/moment.hpp"
#include "common/error/error.hpp"
#include "common/policy/policy.hpp"

namespace lockstep::scheduler {

struct KeptPoint {
  std::string id;
  UtcNanos moment;
  bool good = true;  // false: a verification found it damaged
};

struct Sorted {
  std::string id;
  UtcNanos moment;
  bool keep = true;
  std::vector<std::string> why;  // "last 3 of 24", "newest good point"; of one to go: one reason
};

// Newest first. Error: config-bad-value where the zone is unknown.
Result<std::vector<Sorted>> sort_points(std::vector<KeptPoint> points,
                                        const policy::Retention& retention,
                                        const std::string& zone);

}  // namespace lockstep::scheduler
