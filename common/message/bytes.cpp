#include "common/message/bytes.hpp"

#include <cstdint>

namespace lockstep::message {

namespace {

// The length of the well-formed sequence at the start of `bytes`; 0 where there is none.
std::size_t sequence_length(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;  // the second byte's range, RFC 3629, 4
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  }
  if (length == 0 || bytes.size() < length) return 0;
  if (at(1) < low || at(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (at(i) < 0x80 || at(i) > 0xbf) return 0;
  }
  return length;
}

int lower_hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Whether `\xNN` stands at the start of `text`.
bool is_escape(std::string_view text) {
  return text.size() >= 4 && text[0] == '\\' && text[1] == 'x' && lower_hex(text[2]) >= 0 &&
         lower_hex(text[3]) >= 0;
}

void append_escape(std::string& out, char byte) {
  constexpr char kDigits[] = "0123456789abcdef";
  const auto value = static_cast<unsigned char>(byte);
  out += "\\x";
  out += kDigits[value >> 4U];
  out += kDigits[value & 0xfU];
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t length = sequence_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

Body text_or_bytes(std::string_view bytes) {
  if (is_utf8(bytes)) return Body(std::string(bytes));
  return Body::binary(std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
}

std::string bytes_of(const Body& value) {
  if (!value.is_binary()) return value.get<std::string>();
  const auto& binary = value.get_binary();
  return {binary.begin(), binary.end()};
}

std::string show(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t length = sequence_length(bytes);
    if (length == 0 || is_escape(bytes)) {
      append_escape(out, bytes.front());
      bytes.remove_prefix(1);
      continue;
    }
    out += bytes.substr(0, length);
    bytes.remove_prefix(length);
  }
  return out;
}

std::string unshow(std::string_view shown) {
  std::string out;
  out.reserve(shown.size());
  while (!shown.empty()) {
    if (is_escape(shown)) {
      out += static_cast<char>(lower_hex(shown[2]) * 16 + lower_hex(shown[3]));
      shown.remove_prefix(4);
      continue;
    }
    out += shown.front();
    shown.remove_prefix(1);
  }
  return out;
}

Body showable(const Body& body) {
  if (body.is_string() || body.is_binary()) return show(bytes_of(body));
  if (body.is_array()) {
    Body out = Body::array();
    for (const auto& item : body) out.push_back(showable(item));
    return out;
  }
  if (body.is_object()) {
    Body out = Body::object();
    for (const auto& [key, value] : body.items()) out[show(key)] = showable(value);
    return out;
  }
  return body;
}

}  // namespace lockstep::message
