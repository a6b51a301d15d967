#include "services/scheduler/retention.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace lockstep;
using namespace lockstep::scheduler;

namespace {

KeptPoint point(const std::string& text, bool good = true) {
  return {text, parse_rfc3339(text).value(), good};
}

std::set<std::string> kept(const std::vector<KeptPoint>& points, const policy::Retention& retention,
                           const std::string& zone = "UTC") {
  std::set<std::string> ids;
  const auto sorted = sort_points(points, retention, zone);
  REQUIRE(sorted);
  for (const Sorted& one : sorted.value()) {
    CHECK_FALSE(one.why.empty());
    if (one.keep) ids.insert(one.id);
  }
  return ids;
}

using Ids = std::set<std::string>;

}  // namespace

TEST_CASE("without rules everything stays") {
  CHECK(kept({point("2026-01-01T00:00:00Z"), point("2020-01-01T00:00:00Z")}, {}).size() == 2);
}

TEST_CASE("last keeps the newest, whatever their order") {
  policy::Retention retention;
  retention.last = 2;
  CHECK(kept({point("2026-01-02T00:00:00Z"), point("2026-01-03T00:00:00Z"),
              point("2026-01-01T00:00:00Z")},
             retention) == Ids{"2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z"});
}

TEST_CASE("daily keeps the newest of each of the newest days that have one") {
  policy::Retention retention;
  retention.daily = 2;
  CHECK(kept({point("2026-01-09T10:00:00Z"), point("2026-01-09T08:00:00Z"),
              point("2026-01-05T23:00:00Z"), point("2026-01-05T01:00:00Z"),
              point("2026-01-04T01:00:00Z")},
             retention) == Ids{"2026-01-09T10:00:00Z", "2026-01-05T23:00:00Z"});
}

TEST_CASE("days are those of the zone") {
  policy::Retention retention;
  retention.daily = 1;
  const std::vector<KeptPoint> points = {point("2026-06-02T00:30:00Z"),
                                         point("2026-06-01T22:30:00Z")};
  CHECK(kept(points, retention, "Europe/Paris").size() == 1);  // one day there: both are June 2nd
  retention.daily = 2;
  CHECK(kept(points, retention, "Europe/Paris").size() == 1);
  CHECK(kept(points, retention, "UTC").size() == 2);
  CHECK_FALSE(sort_points(points, retention, "Nowhere/Land"));
}

TEST_CASE("the hour that comes twice in autumn is two hours") {
  policy::Retention retention;
  retention.hourly = 5;
  CHECK(kept({point("2026-10-25T00:30:00Z"), point("2026-10-25T01:30:00Z")}, retention,
             "Europe/Paris")
            .size() == 2);
}

TEST_CASE("weeks are ISO weeks, months calendar months, and rules add up") {
  policy::Retention retention;
  retention.weekly = 2;
  retention.monthly = 2;
  CHECK(kept({point("2027-01-03T12:00:00Z"),  // Sunday of week 53 of 2026
              point("2026-12-28T12:00:00Z"),  // Monday of the same week
              point("2026-12-27T12:00:00Z"),  // Sunday of week 52
              point("2026-12-01T12:00:00Z")},
             retention) ==
        Ids{"2027-01-03T12:00:00Z", "2026-12-27T12:00:00Z", "2026-12-28T12:00:00Z"});
}

TEST_CASE("a damaged point takes nobody's place, and the newest good one always stays") {
  policy::Retention retention;
  retention.last = 1;
  CHECK(kept({point("2026-01-03T00:00:00Z", false), point("2026-01-02T00:00:00Z"),
              point("2026-01-01T00:00:00Z")},
             retention) == Ids{"2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z"});
  retention.last = 2;
  CHECK(kept({point("2026-01-03T00:00:00Z", false), point("2026-01-02T00:00:00Z"),
              point("2026-01-01T00:00:00Z")},
             retention)
            .size() == 3);
  retention.last = 0;
  retention.monthly = 1;
  CHECK(kept({point("2026-01-03T00:00:00Z"), point("2026-01-02T00:00:00Z")}, retention).size() ==
        1);
}
