#include "common/clock/moment.hpp"

#include <fmt/format.h>

#include <chrono>

namespace lockstep {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

// Reads exactly `count` digits at `at`; nothing if they are not all there.
bool take_digits(std::string_view text, std::size_t& at, std::size_t count, int& out) {
  if (text.size() < at + count) return false;
  out = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const char digit = text[at + i];
    if (digit < '0' || digit > '9') return false;
    out = out * 10 + (digit - '0');
  }
  at += count;
  return true;
}

bool take(std::string_view text, std::size_t& at, std::string_view any_of) {
  if (at >= text.size() || any_of.find(text[at]) == std::string_view::npos) return false;
  ++at;
  return true;
}

Error bad(std::string_view text, std::string_view why) {
  return make_error(ErrorCode::config_bad_value,
                    fmt::format("'{}' is not a time: {}", text.substr(0, 80), why), {},
                    "write it as 2026-11-21T02:00:00Z (RFC 3339)");
}

}  // namespace

std::string to_rfc3339(UtcNanos instant) {
  std::int64_t whole = instant.count / kSecond;
  std::int64_t rest = instant.count % kSecond;
  if (rest < 0) {
    rest += kSecond;
    --whole;
  }
  const std::chrono::sys_seconds time{std::chrono::seconds{whole}};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::int64_t of_day = (time - day).count();
  std::string out =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", int{date.year()}, unsigned{date.month()},
                  unsigned{date.day()}, of_day / 3600, of_day / 60 % 60, of_day % 60);
  if (rest != 0) {
    std::string digits = fmt::format("{:09}", rest);
    digits.erase(digits.find_last_not_of('0') + 1);
    out += "." + digits;
  }
  return out + "Z";
}

Result<UtcNanos> parse_rfc3339(std::string_view text) {
  std::size_t at = 0;
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (!take_digits(text, at, 4, year) || !take(text, at, "-") || !take_digits(text, at, 2, month) ||
      !take(text, at, "-") || !take_digits(text, at, 2, day)) {
    return bad(text, "it must begin with a date such as 2026-11-21");
  }
  if (!take(text, at, "Tt ") || !take_digits(text, at, 2, hour) || !take(text, at, ":") ||
      !take_digits(text, at, 2, minute) || !take(text, at, ":") ||
      !take_digits(text, at, 2, second)) {
    return bad(text, "after the date stands T and a time such as 02:00:00");
  }
  std::int64_t fraction = 0;
  if (take(text, at, ".")) {
    const std::size_t begin = at;
    std::int64_t unit = kSecond / 10;
    int digit = 0;
    while (at < text.size() && take_digits(text, at, 1, digit)) {
      if (unit == 0) return bad(text, "more than nine digits of a second");
      fraction += digit * unit;
      unit /= 10;
    }
    if (at == begin) return bad(text, "a digit must follow the point");
  }
  std::int64_t offset_minutes = 0;
  if (!take(text, at, "Zz")) {
    if (at >= text.size() || (text[at] != '+' && text[at] != '-')) {
      return bad(text, "it must end with Z or an offset such as +01:00");
    }
    const int sign = text[at++] == '-' ? -1 : 1;
    int offset_hour = 0, offset_minute = 0;
    if (!take_digits(text, at, 2, offset_hour) || !take(text, at, ":") ||
        !take_digits(text, at, 2, offset_minute) || offset_hour > 23 || offset_minute > 59) {
      return bad(text, "its offset must be of the form +01:00");
    }
    offset_minutes = sign * (offset_hour * 60 + offset_minute);
  }
  if (at != text.size()) return bad(text, "something follows its end");
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return bad(text, "there is no such day");
  if (second == 60) return bad(text, "leap seconds do not exist on this time scale");
  if (hour > 23 || minute > 59 || second > 59) return bad(text, "there is no such time of day");
  const std::int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
  const std::int64_t whole =
      days * 86400 + hour * 3600 + minute * 60 + second - offset_minutes * 60;
  std::int64_t out = 0;
  if (__builtin_mul_overflow(whole, kSecond, &out) || __builtin_add_overflow(out, fraction, &out)) {
    return bad(text, "it is outside the years 1678 to 2261");
  }
  return UtcNanos{out};
}

}  // namespace lockstep
