// The timetable: which moment of a schedule is due, which planned run's turn it is, and whose turn
// to transfer. Pure: what time it is and when a schedule fires are handed in.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/clock/moment.hpp"
#include "common/error/error.hpp"
#include "services/scheduler/run/state.hpp"

namespace lockstep::scheduler {

// The next instant after `after` at which a schedule fires; nothing if never again.
using NextMoment = std::function<Result<std::optional<UtcNanos>>(UtcNanos after)>;

struct Due {
  enum class What {
    nothing,  // yet
    plan,     // a run for `moment` is to be planned
    missed,   // `moment`, the newest that passed unnoticed; a moment that passed is never fired
  } what = What::nothing;
  UtcNanos moment;
  std::optional<UtcNanos> look_again;  // of `nothing`; none: the schedule never fires again
};

// `considered`: the last instant of the schedule that was planned or missed (or when the policy was
// first seen); `ahead`: how long before its moment a run is planned.
Result<Due> due(const NextMoment& next_moment, UtcNanos considered, UtcNanos now, Nanos ahead);

// A run that has not ended, and what its turn depends on.
struct Standing {
  const run::State* state = nullptr;
  std::vector<std::string> clusters;
  int max_pending = 0;  // runs of the service that wait for the other cluster, at most
};

struct Turns {
  std::vector<std::string> begin;                            // runs
  std::vector<std::pair<std::string, run::Failure>> refuse;  // will not begin: max-pending
  std::set<std::string> may_transfer;                        // runs
  std::optional<run::Instant> look_again;
};

// At most one run of a service is at work; one that waits for the other cluster, its pins
// committed, lets another begin, up to max_pending of them, and they transfer in the order of their
// moments. At most `per_cluster` runs are at work in a cluster. Those planned for the earliest
// instant go first.
Turns turns(const std::vector<Standing>& runs, run::Instant now, int per_cluster);

}  // namespace lockstep::scheduler
