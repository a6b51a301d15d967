// Bytes as text of hexadecimal digits, as the helper program writes them.
#pragma once

#include <string>
#include <string_view>

#include "common/components/hdfs/hex.hpp"

namespace lockstep::hbase {

using hdfs::to_hex;

// What is no digit counts as 0, and half a byte at the end is left out: the sizes and digests of
// what comes of it are checked.
inline std::string from_hex(std::string_view text) {
  const auto digit = [](char one) -> unsigned {
    if (one >= '0' && one <= '9') return static_cast<unsigned>(one - '0');
    if (one >= 'a' && one <= 'f') return static_cast<unsigned>(one - 'a') + 10;
    return 0;
  };
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    out += static_cast<char>(digit(text[i]) << 4U | digit(text[i + 1]));
  }
  return out;
}

}  // namespace lockstep::hbase
