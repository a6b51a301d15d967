#include "services/scheduler/drill_time.hpp"

namespace lockstep::scheduler {
namespace {

constexpr Nanos kOnTime = seconds(60);
constexpr Nanos kLongAgo = seconds(86400);

}  // namespace

Result<DrillStep> drill_step(const NextMoment& next_moment, UtcNanos considered, UtcNanos now,
                             bool catch_up) {
  LOCKSTEP_TRY(const Due found, due(next_moment, considered, now, Nanos{0}));
  DrillStep step;
  step.moment = found.moment;
  step.look_again = found.look_again;
  if (found.what == Due::What::nothing) return step;
  const bool on_time = now - found.moment <= kOnTime;
  step.what = on_time || catch_up ? DrillStep::What::begin : DrillStep::What::missed;
  return step;
}

Result<bool> drill_overtaken(const NextMoment& next_moment, UtcNanos scheduled, UtcNanos now) {
  LOCKSTEP_TRY(const auto next, next_moment(scheduled));
  if (next) return *next <= now;
  return now - scheduled > kLongAgo;
}

bool drill_met(Nanos max_age, UtcNanos since, std::optional<UtcNanos> last_good, UtcNanos now) {
  if (max_age.count == 0) return true;
  return now - last_good.value_or(since) <= max_age;
}

}  // namespace lockstep::scheduler
