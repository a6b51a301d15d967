// Bytes as text of hexadecimal digits, in lower case. Pure.
#pragma once

#include <string>
#include <string_view>

namespace lockstep::hdfs {

inline std::string to_hex(std::string_view bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char one : bytes) {
    const auto value = static_cast<unsigned char>(one);
    out += kDigits[value >> 4U];
    out += kDigits[value & 15U];
  }
  return out;
}

}  // namespace lockstep::hdfs
