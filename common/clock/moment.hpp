// Instants and spans of time, as they travel in messages and stand in records.
//
// UTC instants are nanoseconds since 1970-01-01T00:00:00Z without leap seconds (the kernel's
// CLOCK_REALTIME). Text is RFC 3339 with a "Z" and as many digits of the second as are needed
// ("2026-11-21T02:00:00Z", "2026-11-21T02:00:00.123456789Z").
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/error/error.hpp"

namespace lockstep {

// A span, in nanoseconds.
struct Nanos {
  std::int64_t count = 0;
  auto operator<=>(const Nanos&) const = default;
};
constexpr Nanos operator+(Nanos a, Nanos b) { return {a.count + b.count}; }
constexpr Nanos operator-(Nanos a, Nanos b) { return {a.count - b.count}; }
constexpr Nanos milliseconds(std::int64_t n) { return {n * 1'000'000}; }
constexpr Nanos seconds(std::int64_t n) { return {n * 1'000'000'000}; }

// An instant of CLOCK_REALTIME.
struct UtcNanos {
  std::int64_t count = 0;
  auto operator<=>(const UtcNanos&) const = default;
};
constexpr UtcNanos operator+(UtcNanos t, Nanos d) { return {t.count + d.count}; }
constexpr UtcNanos operator-(UtcNanos t, Nanos d) { return {t.count - d.count}; }
constexpr Nanos operator-(UtcNanos a, UtcNanos b) { return {a.count - b.count}; }

// An instant of CLOCK_MONOTONIC: comparable within one boot of one host only, never sent.
struct MonoNanos {
  std::int64_t count = 0;
  auto operator<=>(const MonoNanos&) const = default;
};
constexpr MonoNanos operator+(MonoNanos t, Nanos d) { return {t.count + d.count}; }
constexpr Nanos operator-(MonoNanos a, MonoNanos b) { return {a.count - b.count}; }

// [requested, acknowledged] of an act on the clock of the host that did it.
struct Interval {
  UtcNanos requested;
  UtcNanos acknowledged;
};

std::string to_rfc3339(UtcNanos instant);
// Accepts RFC 3339 with "Z" or a numeric offset; error: config-bad-value.
Result<UtcNanos> parse_rfc3339(std::string_view text);

// "1s", "250ms", "26h", "1h30m", "7d"; a bare number is refused, because its unit is a guess.
Result<Nanos> parse_duration(std::string_view text);
std::string to_duration(Nanos span);

}  // namespace lockstep
