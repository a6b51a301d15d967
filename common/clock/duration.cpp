// Spans of time as text.
#include <fmt/format.h>

#include "common/clock/moment.hpp"

namespace lockstep {

namespace {

struct Unit {
  std::string_view name;
  std::int64_t nanos;
};
// Largest first.
constexpr Unit kUnits[] = {
    {"d", 86'400'000'000'000},
    {"h", 3'600'000'000'000},
    {"m", 60'000'000'000},
    {"s", 1'000'000'000},
    {"ms", 1'000'000},
    {"us", 1'000},
    {"ns", 1},
};

Error bad(std::string_view text, std::string_view why) {
  return make_error(ErrorCode::config_bad_value,
                    fmt::format("'{}' is not a span of time: {}", text.substr(0, 80), why), {},
                    "write a number and its unit: 250ms, 1s, 5m, 26h, 7d, 1h30m");
}

__extension__ using Wide = __int128;  // fraction times unit needs 77 bits

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Result<Nanos> parse_duration(std::string_view text) {
  if (text.empty()) return bad(text, "it is empty");
  std::int64_t sum = 0;
  std::int64_t last_unit = 0;
  for (std::size_t at = 0; at < text.size();) {
    std::int64_t number = 0;
    std::int64_t fraction = 0, scale = 1;
    const std::size_t begin = at;
    for (; at < text.size() && is_digit(text[at]); ++at) {
      if (__builtin_mul_overflow(number, 10, &number) ||
          __builtin_add_overflow(number, text[at] - '0', &number)) {
        return bad(text, "it is too long");
      }
    }
    if (at == begin) return bad(text, "a number must come first");
    if (at < text.size() && text[at] == '.') {
      const std::size_t point = ++at;
      for (; at < text.size() && is_digit(text[at]); ++at) {
        if (scale == 1'000'000'000) return bad(text, "more than nine digits after the point");
        fraction = fraction * 10 + (text[at] - '0');
        scale *= 10;
      }
      if (at == point) return bad(text, "a digit must follow the point");
    }
    const std::size_t unit_begin = at;
    while (at < text.size() && text[at] >= 'a' && text[at] <= 'z') ++at;
    const std::string_view name = text.substr(unit_begin, at - unit_begin);
    if (name.empty()) return bad(text, "a unit is missing");
    const Unit* unit = nullptr;
    for (const auto& row : kUnits) {
      if (row.name == name) unit = &row;
    }
    if (unit == nullptr) return bad(text, fmt::format("'{}' is not a unit", name));
    if (last_unit != 0 && unit->nanos >= last_unit) {
      return bad(text, "units must go from the larger to the smaller");
    }
    last_unit = unit->nanos;
    const std::int64_t part =
        static_cast<std::int64_t>(static_cast<Wide>(fraction) * unit->nanos / scale);
    std::int64_t whole = 0;
    if (__builtin_mul_overflow(number, unit->nanos, &whole) ||
        __builtin_add_overflow(sum, whole, &sum) || __builtin_add_overflow(sum, part, &sum)) {
      return bad(text, "it is too long");
    }
  }
  return Nanos{sum};
}

std::string to_duration(Nanos span) {
  if (span.count == 0) return "0s";
  std::string out = span.count < 0 ? "-" : "";
  // Through unsigned, so that the smallest of all can be negated.
  std::uint64_t left = span.count < 0 ? 0 - static_cast<std::uint64_t>(span.count)
                                      : static_cast<std::uint64_t>(span.count);
  for (const auto& unit : kUnits) {
    const auto size = static_cast<std::uint64_t>(unit.nanos);
    if (left >= size) out += fmt::format("{}{}", left / size, unit.name);
    left %= size;
  }
  return out;
}

}  // namespace lockstep
