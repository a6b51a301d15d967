// Control: the frames of a stream that are not packs, as flat MessagePack maps (docs/stream.md).
//
// Thread rule: values.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/error/error.hpp"
#include "common/stream/blob.hpp"
#include "common/stream/channel.hpp"

namespace lockstep::stream {

class Control {
 public:
  explicit Control(std::string type) : type_(std::move(type)) {}
  const std::string& type() const { return type_; }

  Control& set(const char* key, std::uint64_t number);
  Control& text(const char* key, std::string value);  // UTF-8
  Control& bytes(const char* key, std::string value);
  template <std::size_t N>
  Control& digest(const char* key, const std::array<std::uint8_t, N>& value) {
    return bytes(key, std::string(reinterpret_cast<const char*>(value.data()), N));
  }

  // What is missing or of another type reads as 0, "" or nothing.
  std::uint64_t number(const char* key) const;
  const std::string& string(const char* key) const;
  template <std::size_t N>
  std::optional<std::array<std::uint8_t, N>> digest(const char* key) const {
    const std::string& value = string(key);
    if (value.size() != N) return std::nullopt;
    std::array<std::uint8_t, N> out;
    for (std::size_t i = 0; i < N; ++i) out[i] = static_cast<std::uint8_t>(value[i]);
    return out;
  }

  Blob encode() const;
  // Nothing for what is no such map: too large, too deep, a key twice, bytes after it.
  static std::optional<Control> decode(std::string_view bytes);

 private:
  struct Value {
    std::variant<std::uint64_t, std::string> value;
    bool binary = false;
  };
  std::string type_;
  std::map<std::string, Value, std::less<>> values_;
};

// An error as the other side is told of it, and back. An unknown name becomes stream-protocol.
Control fail_control(const char* type, const Error& error);
Error error_of(const Control& control);

Control opening_control(const Opening& opening);
std::optional<Opening> opening_of(const Control& control);

}  // namespace lockstep::stream
