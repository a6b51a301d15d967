// Little-endian bytes: how every format of the stream is written and read.
//
// Thread rule: values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lockstep::stream {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "the formats are little-endian and are written as they lie in memory");

using Buffer = std::vector<std::byte>;

class ByteWriter {
 public:
  explicit ByteWriter(Buffer& out) : out_(out) {}
  template <class T>
  requires std::is_integral_v<T>
  void number(T value) { raw(&value, sizeof value); }
  // u32 length, then the bytes.
  void counted(std::string_view text) {
    number(static_cast<std::uint32_t>(text.size()));
    raw(text.data(), text.size());
  }
  void raw(const void* data, std::size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    out_.insert(out_.end(), from, from + size);
  }
  template <std::size_t N>
  void digest(const std::array<std::uint8_t, N>& value) {
    raw(value.data(), N);
  }

 private:
  Buffer& out_;
};

// Reads what may come from an enemy: nothing is read past the end, and once something was missing
// ok() stays false and every further value is zero or empty.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
  requires std::is_integral_v<T> T number() {
    T value{};
    const auto from = take(sizeof value);
    if (!from.empty()) std::memcpy(&value, from.data(), sizeof value);
    return value;
  }
  std::string_view counted(std::size_t limit) {
    const auto length = number<std::uint32_t>();
    if (length > limit) {
      ok_ = false;
      return {};
    }
    const auto from = take(length);
    return {reinterpret_cast<const char*>(from.data()), from.size()};
  }
  template <std::size_t N>
  std::array<std::uint8_t, N> digest() {
    std::array<std::uint8_t, N> value{};
    const auto from = take(N);
    if (!from.empty()) std::memcpy(value.data(), from.data(), N);
    return value;
  }
  // Empty where fewer are left (or `count` is 0).
  std::span<const std::byte> take(std::size_t count) {
    if (!ok_ || count > bytes_.size()) {
      ok_ = false;
      return {};
    }
    const auto out = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return out;
  }
  bool ok() const { return ok_; }
  std::size_t left() const { return bytes_.size(); }
  bool done() const { return ok_ && bytes_.empty(); }

 private:
  std::span<const std::byte> bytes_;
  bool ok_ = true;
};

}  // namespace lockstep::stream
