#include "common/clock/moment.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace lockstep;

TEST_CASE("instants as text and back") {
  const auto [nanos, text] = GENERATE(table<std::int64_t, const char*>({
      {0, "1970-01-01T00:00:00Z"},
      {1, "1970-01-01T00:00:00.000000001Z"},
      {-1, "1969-12-31T23:59:59.999999999Z"},
      {1'795'226'400'000'000'000, "2026-11-21T02:00:00Z"},
      {1'795'226'400'123'456'789, "2026-11-21T02:00:00.123456789Z"},
      {1'795'226'400'500'000'000, "2026-11-21T02:00:00.5Z"},
      {951'782'399'000'000'000, "2000-02-28T23:59:59Z"},
      {951'782'400'000'000'000, "2000-02-29T00:00:00Z"},
      {INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
  }));
  CHECK(to_rfc3339({nanos}) == text);
  auto parsed = parse_rfc3339(text);
  REQUIRE(parsed);
  CHECK(parsed->count == nanos);
}

TEST_CASE("offsets and small letters are understood") {
  CHECK(parse_rfc3339("2026-11-21T03:00:00+01:00")->count == 1'795'226'400'000'000'000);
  CHECK(parse_rfc3339("2026-11-20T20:30:00-05:30")->count == 1'795'226'400'000'000'000);
  CHECK(parse_rfc3339("2026-11-21t02:00:00z")->count == 1'795'226'400'000'000'000);
}

TEST_CASE("what is no instant is refused, by the reason") {
  const std::string text = GENERATE(
      "", "2026", "2026-11-21", "2026-11-21T02:00Z", "2026-11-21T02:00:00", "2026-13-21T02:00:00Z",
      "2026-02-29T02:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T23:60:00Z",
      "2026-12-31T23:59:60Z", "2026-11-21T02:00:00.Z", "2026-11-21T02:00:00.1234567890Z",
      "2026-11-21T02:00:00Zx", "2026-11-21T02:00:00+1:00", "2026-11-21T02:00:00+24:00",
      "9999-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "tomorrow");
  CAPTURE(text);
  auto parsed = parse_rfc3339(text);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().code == ErrorCode::config_bad_value);
  CHECK(parsed.error().what.find(text) != std::string::npos);
}

TEST_CASE("spans as text and back") {
  CHECK(parse_duration("1s")->count == 1'000'000'000);
  CHECK(parse_duration("250ms")->count == 250'000'000);
  CHECK(parse_duration("26h")->count == 93'600'000'000'000);
  CHECK(parse_duration("1h30m")->count == 5'400'000'000'000);
  CHECK(parse_duration("7d")->count == 604'800'000'000'000);
  CHECK(parse_duration("1.5s")->count == 1'500'000'000);
  CHECK(parse_duration("0s")->count == 0);
  for (const std::int64_t span :
       std::vector<std::int64_t>{0, 1, 999, 1'000, 1'500'000'000, 93'600'000'000'000, INT64_MAX}) {
    CHECK(parse_duration(to_duration({span}))->count == span);
  }
  CHECK(to_duration({-90'000'000'000}) == "-1m30s");
  CHECK(to_duration({INT64_MIN}).starts_with("-106751d"));
}

TEST_CASE("a span without its unit, or with a wrong one, is refused") {
  const std::string text = GENERATE("", "5", "s", "5 s", "5x", "5S", "-1s", "1s1s", "1m1h", "1.s",
                                    "99999999999999999999s", "9999999d", "1.1234567891s");
  CAPTURE(text);
  auto parsed = parse_duration(text);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().code == ErrorCode::config_bad_value);
}
