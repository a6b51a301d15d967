#include "common/message/uuid.hpp"

#include <sys/random.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <mutex>

namespace lockstep::message {

namespace {

// RFC 9562, 6.2, method 1: a counter of 26 bits behind the millisecond (rand_a and the first 14
// bits of rand_b), seeded at random below half its range for each new millisecond.
constexpr std::uint32_t kCounterLimit = 1U << 26U;

template <class T>
T random_value() {
  T value{};
  // At most 256 bytes after boot: getrandom(2) neither fails nor falls short.
  if (::getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value)) std::abort();
  return value;
}

struct Stamp {
  std::uint64_t millisecond = 0;
  std::uint32_t counter = 0;
};

Stamp next_stamp(std::uint64_t millisecond) {
  static std::mutex mutex;
  static Stamp last;
  const std::lock_guard lock(mutex);
  if (millisecond == last.millisecond && ++last.counter < kCounterLimit) return last;
  if (millisecond == last.millisecond) ++millisecond;  // 33 million ids in one millisecond
  last = Stamp{millisecond, random_value<std::uint32_t>() % (kCounterLimit / 2)};
  return last;
}

}  // namespace

std::string make_uuid7(UtcNanos now) {
  const std::int64_t count = now.count < 0 ? 0 : now.count;
  const Stamp stamp = next_stamp(static_cast<std::uint64_t>(count / 1'000'000));
  std::array<std::uint8_t, 16> bytes = random_value<std::array<std::uint8_t, 16>>();
  for (std::size_t i = 0; i < 6; ++i) {
    bytes[i] = static_cast<std::uint8_t>(stamp.millisecond >> (40U - 8U * i));
  }
  bytes[6] = static_cast<std::uint8_t>(0x70U | ((stamp.counter >> 22U) & 0x0fU));
  bytes[7] = static_cast<std::uint8_t>(stamp.counter >> 14U);
  bytes[8] = static_cast<std::uint8_t>(0x80U | ((stamp.counter >> 8U) & 0x3fU));
  bytes[9] = static_cast<std::uint8_t>(stamp.counter);

  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kDigits[bytes[i] >> 4U];
    text += kDigits[bytes[i] & 0xfU];
  }
  return text;
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

}  // namespace lockstep::message
