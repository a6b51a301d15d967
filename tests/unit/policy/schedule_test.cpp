#include <catch2/catch.hpp>

#include "common/policy/cron.hpp"
#include "common/policy/policy.hpp"

namespace lockstep::policy {
namespace {

UtcNanos at(const std::string& text) {
  const auto instant = parse_rfc3339(text);
  REQUIRE(instant);
  return *instant;
}

// The next `count` moments after `after`, as text.
std::vector<std::string> moments(const Schedule& schedule, const std::string& after, int count) {
  std::vector<std::string> out;
  UtcNanos now = at(after);
  for (int i = 0; i < count; ++i) {
    const auto next = next_moment(schedule, now);
    if (!next) FAIL(next.error().text());
    if (!*next) {
      out.emplace_back("never");
      break;
    }
    now = **next;
    out.push_back(to_rfc3339(now));
  }
  return out;
}

Schedule cron(const std::string& line, const std::string& zone = "UTC") {
  Schedule schedule;
  schedule.cron = line;
  schedule.zone = zone;
  return schedule;
}

using Texts = std::vector<std::string>;

TEST_CASE("cron: a plain line") {
  CHECK(moments(cron("0 2 * * *"), "2026-11-21T01:59:59.999999999Z", 2) ==
        Texts{"2026-11-21T02:00:00Z", "2026-11-22T02:00:00Z"});
  // "after" is strict.
  CHECK(moments(cron("0 2 * * *"), "2026-11-21T02:00:00Z", 1) == Texts{"2026-11-22T02:00:00Z"});
  CHECK(moments(cron("* * * * *"), "2026-12-31T23:59:30Z", 1) == Texts{"2027-01-01T00:00:00Z"});
}

TEST_CASE("cron: lists, ranges, steps and names") {
  CHECK(moments(cron("5,35 8-9 * * *"), "2026-11-21T00:00:00Z", 5) ==
        Texts{"2026-11-21T08:05:00Z", "2026-11-21T08:35:00Z", "2026-11-21T09:05:00Z",
              "2026-11-21T09:35:00Z", "2026-11-22T08:05:00Z"});
  CHECK(moments(cron("*/20 12 * * *"), "2026-11-21T00:00:00Z", 4) ==
        Texts{"2026-11-21T12:00:00Z", "2026-11-21T12:20:00Z", "2026-11-21T12:40:00Z",
              "2026-11-22T12:00:00Z"});
  CHECK(moments(cron("0 0-23/9 * * *"), "2026-11-21T00:00:00Z", 3) ==
        Texts{"2026-11-21T09:00:00Z", "2026-11-21T18:00:00Z", "2026-11-22T00:00:00Z"});
  CHECK(moments(cron("0 0 1 Jan,JUL *"), "2026-11-21T00:00:00Z", 2) ==
        Texts{"2027-01-01T00:00:00Z", "2027-07-01T00:00:00Z"});
  // 2026-11-21 is a Saturday.
  CHECK(moments(cron("0 0 * * mon-fri"), "2026-11-21T00:00:00Z", 2) ==
        Texts{"2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"});
  CHECK(moments(cron("0 0 * * sat-sun"), "2026-11-20T00:00:00Z", 3) ==
        Texts{"2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z", "2026-11-28T00:00:00Z"});
  for (const char* sunday : {"0 0 * * 0", "0 0 * * 7", "0 0 * * sun", "@weekly"}) {
    CHECK(moments(cron(sunday), "2026-11-21T00:00:00Z", 2) ==
          Texts{"2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"});
  }
  CHECK(moments(cron("0 0 * * 5-7"), "2026-11-19T00:00:00Z", 3) ==
        Texts{"2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"});
}

TEST_CASE("cron: day of month and day of week, as crontab(5) has it") {
  // Both restricted: either. The 13th, and every Friday.
  CHECK(moments(cron("0 0 13 * fri"), "2026-11-01T00:00:00Z", 4) ==
        Texts{"2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z",
              "2026-11-27T00:00:00Z"});
  CHECK(moments(cron("0 0 14 * fri"), "2026-11-07T00:00:00Z", 2) ==
        Texts{"2026-11-13T00:00:00Z", "2026-11-14T00:00:00Z"});
  // One begins with a star: both must match. Days 1, 11, 21, 31 that are Saturdays.
  CHECK(moments(cron("0 0 */10 * sat"), "2026-11-01T00:00:00Z", 2) ==
        Texts{"2026-11-21T00:00:00Z", "2027-05-01T00:00:00Z"});
}

TEST_CASE("cron: leap days, and days that never come") {
  CHECK(moments(cron("0 0 29 2 *"), "2026-11-21T00:00:00Z", 2) ==
        Texts{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"});
  CHECK(moments(cron("0 0 29 2 *"), "2096-03-01T00:00:00Z", 1) == Texts{"2104-02-29T00:00:00Z"});
  CHECK(moments(cron("0 0 30 2 *"), "2026-11-21T00:00:00Z", 1) == Texts{"never"});
  CHECK(moments(cron("0 0 31 */2 *"), "2026-11-21T00:00:00Z", 2) ==
        Texts{"2027-01-31T00:00:00Z", "2027-03-31T00:00:00Z"});
}

TEST_CASE("cron: what is refused") {
  for (const char* line : {"",
                           "* * * *",
                           "* * * * * *",
                           "60 * * * *",
                           "* 24 * * *",
                           "* * 0 * *",
                           "* * 32 * *",
                           "* * * 13 *",
                           "* * * 0 *",
                           "* * * * 8",
                           "5/15 * * * *",
                           "*/0 * * * *",
                           "9-5 * * * *",
                           "1,,2 * * * *",
                           "-1 * * * *",
                           "a * * * *",
                           "* * * * monday",
                           "1- * * * *",
                           "*/ * * * *",
                           "@reboot",
                           "** * * * *",
                           "1.5 * * * *",
                           "+1 * * * *"}) {
    INFO(line);
    const auto parsed = parse_cron(line);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == ErrorCode::config_bad_value);
  }
  CHECK_FALSE(next_moment(cron("0 0 * * *", "Mars/Olympus"), UtcNanos{}));
}

TEST_CASE("cron in Europe/Paris: the hour that is left out, and the hour that comes twice") {
  // 2026-03-29 02:00 -> 03:00 (+01 -> +02), 2026-10-25 03:00 -> 02:00.
  CHECK(moments(cron("30 2 * * *", "Europe/Paris"), "2026-03-27T12:00:00Z", 3) ==
        Texts{"2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"});
  // The first of the two half past two, once.
  CHECK(moments(cron("30 2 * * *", "Europe/Paris"), "2026-10-24T12:00:00Z", 2) ==
        Texts{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"});
  // Asked between the two, the second does not count.
  CHECK(moments(cron("30 2 * * *", "Europe/Paris"), "2026-10-25T01:00:00Z", 1) ==
        Texts{"2026-10-26T01:30:00Z"});
  // Several local times in the gap are one instant; 03:00 is that instant, too.
  CHECK(moments(cron("*/15 * * * *", "Europe/Paris"), "2026-03-29T00:40:00Z", 3) ==
        Texts{"2026-03-29T00:45:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z"});
  CHECK(moments(cron("0 3 * * *", "Europe/Paris"), "2026-03-28T12:00:00Z", 1) ==
        Texts{"2026-03-29T01:00:00Z"});
  CHECK(moments(cron("59 1 * * *", "Europe/Paris"), "2026-03-28T12:00:00Z", 1) ==
        Texts{"2026-03-29T00:59:00Z"});
}

TEST_CASE("cron in America/New_York: west of Greenwich") {
  // 2026-03-08 02:00 -> 03:00 (-05 -> -04), 2026-11-01 02:00 -> 01:00.
  CHECK(moments(cron("15 2 * * *", "America/New_York"), "2026-03-07T12:00:00Z", 2) ==
        Texts{"2026-03-08T07:00:00Z", "2026-03-09T06:15:00Z"});
  CHECK(moments(cron("30 1 * * *", "America/New_York"), "2026-10-31T12:00:00Z", 2) ==
        Texts{"2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"});
  CHECK(moments(cron("0 22 * * *", "America/New_York"), "2026-11-21T00:00:00Z", 1) ==
        Texts{"2026-11-21T03:00:00Z"});
}

TEST_CASE("cron in Australia/Lord_Howe: summer time is half an hour") {
  // 2026-10-04 02:00 -> 02:30 (+10:30 -> +11), 2026-04-05 02:00 -> 01:30.
  CHECK(moments(cron("15 2 * * *", "Australia/Lord_Howe"), "2026-10-03T00:00:00Z", 2) ==
        Texts{"2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"});
  CHECK(moments(cron("45 2 * * *", "Australia/Lord_Howe"), "2026-10-03T00:00:00Z", 1) ==
        Texts{"2026-10-03T15:45:00Z"});
  CHECK(moments(cron("45 1 * * *", "Australia/Lord_Howe"), "2026-04-04T00:00:00Z", 2) ==
        Texts{"2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"});
}

TEST_CASE("cron in Pacific/Apia: a day that was left out altogether") {
  // Samoa had no 2011-12-30: its moment comes at the first instant of the 31st, with the 31st's
  // own.
  CHECK(moments(cron("0 12 30 * *", "Pacific/Apia"), "2011-12-29T12:00:00Z", 1) ==
        Texts{"2011-12-30T10:00:00Z"});
}

TEST_CASE("moments always go forward, through a year of every kind of change") {
  for (const char* zone : {"Europe/Paris", "America/New_York", "Australia/Lord_Howe",
                           "Africa/Casablanca", "Asia/Gaza", "America/St_Johns"}) {
    INFO(zone);
    UtcNanos now = at("2026-01-01T00:00:00Z");
    int count = 0;
    while (now < at("2027-01-01T00:00:00Z")) {
      const auto next = next_moment(cron("7,37 * * * *", zone), now);
      REQUIRE(next);
      REQUIRE(*next);
      REQUIRE(**next > now);
      REQUIRE(**next - now <= seconds(2 * 3600));
      now = **next;
      ++count;
    }
    CHECK(count > 2 * 24 * 364);
    CHECK(count <= 2 * 24 * 365 + 4);
  }
}

TEST_CASE("every: multiples since 1970, the same at each start") {
  Schedule schedule;
  schedule.every = seconds(7);
  CHECK(moments(schedule, "1970-01-01T00:00:00Z", 2) ==
        Texts{"1970-01-01T00:00:07Z", "1970-01-01T00:00:14Z"});
  CHECK(moments(schedule, "1970-01-01T00:00:06.999999999Z", 1) == Texts{"1970-01-01T00:00:07Z"});
  CHECK(moments(schedule, "1969-12-31T23:59:58Z", 1) == Texts{"1970-01-01T00:00:00Z"});
  schedule.every = seconds(3600);
  CHECK(moments(schedule, "2026-10-25T00:30:00Z", 2) ==
        Texts{"2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"});
}

TEST_CASE("explicit moments, alone and beside a cron line") {
  Schedule schedule = cron("0 2 * * *");
  schedule.moments = {at("2026-11-21T12:00:00Z"), at("2026-11-25T02:00:00Z")};
  CHECK(moments(schedule, "2026-11-21T02:00:00Z", 6) ==
        Texts{"2026-11-21T12:00:00Z", "2026-11-22T02:00:00Z", "2026-11-23T02:00:00Z",
              "2026-11-24T02:00:00Z", "2026-11-25T02:00:00Z", "2026-11-26T02:00:00Z"});
  schedule.cron.clear();
  CHECK(moments(schedule, "2026-11-21T02:00:00Z", 3) ==
        Texts{"2026-11-21T12:00:00Z", "2026-11-25T02:00:00Z", "never"});
  CHECK(moments({}, "2026-11-21T02:00:00Z", 1) == Texts{"never"});
}

TEST_CASE("the ends of time") {
  const auto last =
      next_moment(cron("* * * * *"), UtcNanos{std::numeric_limits<std::int64_t>::max()});
  REQUIRE(last);
  CHECK_FALSE(*last);
  const auto first =
      next_moment(cron("0 0 * * *"), UtcNanos{std::numeric_limits<std::int64_t>::min()});
  REQUIRE(first);
  Schedule every;
  every.every = seconds(1);
  const auto beyond = next_moment(every, UtcNanos{std::numeric_limits<std::int64_t>::max()});
  REQUIRE(beyond);
  CHECK_FALSE(*beyond);
}

}  // namespace
}  // namespace lockstep::policy
