// Moments of a schedule: cron in a time zone, every, explicit.
#include <date/date.h>
#include <date/tz.h>

#include <algorithm>
#include <limits>

#include "common/policy/cron.hpp"
#include "common/policy/policy.hpp"

namespace lockstep::policy {

namespace {

using std::chrono::minutes;

// The whole seconds of UtcNanos at both ends of its range, with a year to spare.
constexpr std::int64_t kLastYear = 2260;
constexpr UtcNanos kEarliest{-5'000'000'000'000'000'000};  // in 1811
// 29 February on a given weekday comes every 28 years, or 40 where a century is no leap year.
constexpr int kSearchDays = 366 * 41;

Result<const date::time_zone*> find_zone(const std::string& name) {
  try {
    return date::locate_zone(name);
  } catch (const std::exception&) {
    return make_error(ErrorCode::config_bad_value,
                      "the time zone `" + name + "` is not in this host's zone database", {},
                      "use a name such as Europe/Paris or UTC, and install tzdata");
  }
}

UtcNanos instant_of(date::sys_seconds time) {
  return UtcNanos{time.time_since_epoch().count() * 1'000'000'000};
}

// The instant at which a local time comes: the first of two, or the end of the gap that swallowed
// it.
UtcNanos instant_of(const date::time_zone& zone, date::local_seconds local) {
  const auto info = zone.get_info(local);
  if (info.result == date::local_info::nonexistent) return instant_of(info.first.end);
  return instant_of(date::sys_seconds{local.time_since_epoch()} - info.first.offset);
}

std::optional<UtcNanos> next_on_day(const Cron& cron, const date::time_zone& zone,
                                    date::local_days day, UtcNanos after) {
  // Local times in order give instants in order (equal ones where a gap swallowed several).
  for (unsigned hour = 0; hour < 24; ++hour) {
    if (!cron.hours.test(hour)) continue;
    for (unsigned minute = 0; minute < 60; ++minute) {
      if (!cron.minutes.test(minute)) continue;
      const date::local_seconds local = day + std::chrono::hours{hour} + minutes{minute};
      const UtcNanos instant = instant_of(zone, local);
      if (instant > after) return instant;
    }
  }
  return std::nullopt;
}

Result<std::optional<UtcNanos>> next_cron(const Schedule& schedule, UtcNanos after) {
  LOCKSTEP_TRY(const Cron cron, parse_cron(schedule.cron));
  // So that looking two days back stays within the range of UtcNanos.
  after = std::max(after, kEarliest);
  LOCKSTEP_TRY(const date::time_zone* zone, find_zone(schedule.zone));
  const auto since =
      std::chrono::floor<std::chrono::seconds>(std::chrono::nanoseconds{after.count});
  const date::sys_seconds start{since};
  // Two days back: a gap that swallowed a whole day (Samoa, 2011) puts its moments after it.
  date::local_days day = std::chrono::floor<date::days>(zone->to_local(start)) - date::days{2};
  try {
    for (int i = 0; i < kSearchDays; ++i, day += date::days{1}) {
      const date::year_month_day civil{day};
      if (static_cast<int>(civil.year()) > kLastYear) break;
      const date::weekday weekday{day};
      if (!cron.day_matches(static_cast<unsigned>(civil.month()),
                            static_cast<unsigned>(civil.day()), weekday.c_encoding())) {
        continue;
      }
      if (const auto found = next_on_day(cron, *zone, day, after)) return found;
    }
  } catch (const std::exception& exception) {
    return make_error(ErrorCode::config_bad_value,
                      std::string{"the zone database cannot answer: "} + exception.what(),
                      schedule.zone);
  }
  return std::optional<UtcNanos>{};
}

// Multiples of the span since 1970-01-01T00:00:00Z: the same at every start of every service.
std::optional<UtcNanos> next_every(Nanos span, UtcNanos after) {
  if (span.count <= 0) return std::nullopt;
  std::int64_t periods = after.count / span.count;
  if (after.count % span.count < 0) --periods;
  std::int64_t next = 0;
  if (__builtin_add_overflow(periods, 1, &periods) ||
      __builtin_mul_overflow(periods, span.count, &next)) {
    return std::nullopt;
  }
  return UtcNanos{next};
}

}  // namespace

Result<std::optional<UtcNanos>> next_moment(const Schedule& schedule, UtcNanos after) {
  std::optional<UtcNanos> best;
  const auto consider = [&best](std::optional<UtcNanos> candidate) {
    if (candidate && (!best || *candidate < *best)) best = candidate;
  };
  if (!schedule.cron.empty()) {
    LOCKSTEP_TRY(const auto next, next_cron(schedule, after));
    consider(next);
  }
  if (schedule.every) consider(next_every(*schedule.every, after));
  for (const UtcNanos moment : schedule.moments) {
    if (moment > after) consider(moment);
  }
  return best;
}

}  // namespace lockstep::policy
