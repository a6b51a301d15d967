// When a service's newest point is to be brought up and checked (`drill:` in its policy), and
// whether that was done lately enough. Pure: what time it is and when the schedule fires are handed
// in.
#pragma once

#include <optional>

#include "services/scheduler/timetable.hpp"

namespace lockstep::scheduler {

struct DrillStep {
  enum class What {
    nothing,  // yet
    begin,    // a drill for `moment`, which has come
    missed,   // `moment` passed while nothing ran, and the policy does not want it caught up
  } what = What::nothing;
  UtcNanos moment;
  std::optional<UtcNanos> look_again;  // of `nothing`; none: the schedule never fires again
};

// `considered`: the last instant of the schedule that was begun or missed, or when the policy was
// first seen. Of several that passed only the newest counts. A drill a minute late is still on
// time.
Result<DrillStep> drill_step(const NextMoment& next_moment, UtcNanos considered, UtcNanos now,
                             bool catch_up);

// A drill that could not be begun or finished yet is given up when the next one's moment has come,
// or when the schedule never fires again and it is a day old.
Result<bool> drill_overtaken(const NextMoment& next_moment, UtcNanos scheduled, UtcNanos now);

// `last_good`: when the newest good drill ended; none: counted from `since`, when the policy was
// first seen to ask for drills. `max_age` 0: nothing is asked for.
bool drill_met(Nanos max_age, UtcNanos since, std::optional<UtcNanos> last_good, UtcNanos now);

}  // namespace lockstep::scheduler
