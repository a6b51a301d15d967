#include "services/scheduler/retention.hpp"

#include <date/tz.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <set>

namespace lockstep::scheduler {
namespace {

using Local = date::local_time<std::chrono::seconds>;

struct When {
  Local local;
  std::chrono::seconds offset;  // from UTC: an hour that comes twice in autumn is two hours
};

std::string hour_of(const When& when) {
  return date::format("%Y-%m-%d %H", when.local) + " " + std::to_string(when.offset.count());
}
std::string day_of(const When& when) { return date::format("%Y-%m-%d", when.local); }
std::string week_of(const When& when) { return date::format("%G-W%V", when.local); }
std::string month_of(const When& when) { return date::format("%Y-%m", when.local); }

struct Rule {
  const char* name;
  int count;
  std::string (*bucket)(const When&);
};

// Gives each good point that a rule keeps its reason; `points` is sorted, newest first.
void apply(const Rule& rule, const std::vector<KeptPoint>& points, const std::vector<When>& when,
           bool damaged_too, std::vector<Sorted>& sorted) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!points[i].good && !damaged_too) continue;
    if (static_cast<int>(seen.size()) >= rule.count) return;
    const std::string bucket = rule.bucket == nullptr ? points[i].id : rule.bucket(when[i]);
    if (!seen.insert(bucket).second) continue;
    if (damaged_too && points[i].good) continue;  // has its reason already, or none
    sorted[i].keep = true;
    sorted[i].why.push_back(std::string(rule.name) + " " + std::to_string(seen.size()) + " of " +
                            std::to_string(rule.count) + (damaged_too ? ", damaged" : ""));
  }
}

}  // namespace

Result<std::vector<Sorted>> sort_points(std::vector<KeptPoint> points,
                                        const policy::Retention& retention,
                                        const std::string& zone) {
  std::sort(points.begin(), points.end(), [](const KeptPoint& a, const KeptPoint& b) {
    return a.moment != b.moment ? a.moment > b.moment : a.id > b.id;
  });
  std::vector<Sorted> sorted;
  for (const KeptPoint& point : points) sorted.push_back({point.id, point.moment, false, {}});

  if (!retention.any()) {
    for (Sorted& one : sorted) {
      one.keep = true;
      one.why = {"the policy has no retention"};
    }
    return sorted;
  }

  const date::time_zone* place = nullptr;
  try {
    place = date::locate_zone(zone.empty() ? "UTC" : zone);
  } catch (const std::exception& error) {
    return make_error(ErrorCode::config_bad_value, "there is no such time zone", zone);
  }
  std::vector<When> when;
  for (const KeptPoint& point : points) {
    const auto instant = date::sys_seconds(
        std::chrono::floor<std::chrono::seconds>(std::chrono::nanoseconds(point.moment.count)));
    when.push_back({place->to_local(instant), place->get_info(instant).offset});
  }

  const std::array rules = {
      Rule{"last", retention.last, nullptr}, Rule{"hourly", retention.hourly, hour_of},
      Rule{"daily", retention.daily, day_of}, Rule{"weekly", retention.weekly, week_of},
      Rule{"monthly", retention.monthly, month_of}};
  // A damaged point stays as long as a good one of its moment would: somebody may want its parts.
  for (const bool damaged_too : {false, true})
    for (const Rule& rule : rules) apply(rule, points, when, damaged_too, sorted);

  const auto newest_good =
      std::find_if(points.begin(), points.end(), [](const KeptPoint& point) { return point.good; });
  if (newest_good != points.end()) {
    Sorted& one = sorted[static_cast<std::size_t>(newest_good - points.begin())];
    one.keep = true;
    one.why.emplace_back("newest good point");
  }
  for (Sorted& one : sorted)
    if (!one.keep) one.why = {"no rule of the policy's retention keeps it"};
  return sorted;
}

}  // namespace lockstep::scheduler
