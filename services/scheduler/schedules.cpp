#include "services/scheduler/schedules.hpp"

#include <algorithm>

#include "common/service/log.hpp"
#include "services/scheduler/timetable.hpp"

namespace lockstep::scheduler {
namespace {

// Looked at this often whatever is due, so that a clock that was set is noticed.
constexpr Nanos kAtLeastEvery = seconds(5);

NextMoment fires(const policy::Schedule& schedule) {
  return [&schedule](UtcNanos after) { return policy::next_moment(schedule, after); };
}

}  // namespace

void Schedules::look() {
  if (timer_) here_.reactor.cancel(*timer_);
  timer_.reset();
  const UtcNanos now = here_.clock.utc();
  UtcNanos next = now + kAtLeastEvery;
  for (const auto& [service, held] : policies_.all()) {
    const auto looked = look_at(held);
    if (!looked) {
      service::log_error(looked.error());
    } else if (looked.value()) {
      next = std::min(next, *looked.value());
    }
  }
  const Nanos delay = std::max(Nanos{0}, next - here_.clock.utc());
  timer_ = here_.reactor.after(delay, [this] {
    timer_.reset();
    look();
  });
}

Result<std::optional<UtcNanos>> Schedules::look_at(const HeldPolicy& held) {
  const policy::Policy& policy = held.policy;
  const UtcNanos now = here_.clock.utc();
  LOCKSTEP_TRY(const auto considered, store_.considered(policy.service));
  // What lies before the policy was first seen is nobody's loss; what passes in a pause is not
  // missed either.
  if (!considered || held.paused) {
    Store::Change change;
    change.considered[policy.service] = now;
    if (!considered || now - *considered >= kAtLeastEvery)
      LOCKSTEP_CHECK(store_.apply("scheduler.considered", change));
    return std::optional<UtcNanos>{now + kAtLeastEvery};
  }
  LOCKSTEP_TRY(const Due found,
               due(fires(policy.schedule), *considered, now, process_.ahead(policy)));
  if (found.what == Due::What::nothing) return found.look_again;
  // What passes while nobody knows who the primary is, is not missed yet.
  if (!identity_.current()) return std::optional<UtcNanos>{now + kAtLeastEvery};
  LOCKSTEP_TRY(const Origin origin,
               resolve(policy, held.version, here_.site, *identity_.current()));
  LOCKSTEP_CHECK(process_.plan_scheduled(origin, found.moment));
  return std::optional<UtcNanos>{now};
}

std::optional<UtcNanos> Schedules::next_moment(const HeldPolicy& held) const {
  if (held.paused) return std::nullopt;
  const auto next = policy::next_moment(held.policy.schedule, here_.clock.utc());
  return next ? next.value() : std::nullopt;
}

}  // namespace lockstep::scheduler
