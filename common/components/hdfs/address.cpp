#include "common/components/hdfs/address.hpp"

#include <algorithm>
#include <cstdint>

namespace lockstep::hdfs {

namespace {

bool plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

void append_escaped(std::string& out, char c) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  out += '%';
  out += kDigits[byte >> 4U];
  out += kDigits[byte & 15U];
}

// How many bytes the character that begins here has; 0: none begins here (RFC 3629).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto follows = [&](std::size_t i, unsigned from = 0x80, unsigned to = 0xbf) {
    return i < text.size() && byte(i) >= from && byte(i) <= to;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool second = follows(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf);
    return second && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool second = follows(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf);
    return second && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string escape(std::string_view text, bool path) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  for (const char c : text) {
    if (plain(c) || (path && c == '/')) {
      out += c;
    } else {
      append_escaped(out, c);
    }
  }
  return out;
}

std::string address(std::string_view namenode, std::string_view path, std::string_view operation,
                    const Query& query) {
  std::string out(namenode);
  out += "/webhdfs/v1";
  out += escape(path, true);
  out += "?op=";
  out += operation;
  for (const auto& [key, value] : query) {
    out += '&';
    out += key;
    out += '=';
    out += escape(value, false);
  }
  return out;
}

std::string host_of(const std::string& address) {
  const std::size_t host = address.find("//") + 2;
  return address.substr(host, address.find('/', host) - host);
}

std::string repair(std::string_view location) {
  std::string out;
  for (const char c : location) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f) {
      append_escaped(out, c);
    } else {
      out += c;
    }
  }
  return out;
}

std::string join(std::string_view directory, std::string_view below) {
  std::string out(directory);
  if (below.empty()) return out;
  if (!out.empty() && out != "/") out += '/';
  out += below;
  return out;
}

std::string parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {};
  return std::string(slash == 0 ? "/" : path.substr(0, slash));
}

std::string_view name_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool can_be_named(std::string_view name) {
  if (name.empty() || name == "." || name == ".." || name.size() > 255) return false;
  if (name == ".snapshot" || name == ".reserved") return false;
  while (!name.empty()) {
    if (name.front() == ':' || name.front() == '/' || name.front() == '\0') return false;
    const std::size_t length = utf8_length(name);
    if (length == 0) return false;
    name.remove_prefix(length);
  }
  return true;
}

}  // namespace lockstep::hdfs
