// SentNames: which first names were sent, so that further names of the same files are linked again.
//
// A Bloom filter of fixed size: memory stays the same whatever the tree; a false positive sends one
// hard link that needed no sending. Thread rule: one thread.
#pragma once

#include <xxhash.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace lockstep::stream {

class SentNames {
 public:
  void add(std::string_view path) {
    const Bits bits(path);
    for (std::uint64_t i = 0; i < kHashes; ++i) words_[bits.at(i) / 64] |= mask(bits.at(i));
  }
  bool may_hold(std::string_view path) const {
    const Bits bits(path);
    for (std::uint64_t i = 0; i < kHashes; ++i) {
      if ((words_[bits.at(i) / 64] & mask(bits.at(i))) == 0) return false;
    }
    return true;
  }

 private:
  static constexpr std::uint64_t kHashes = 4;
  static constexpr std::uint64_t kWords = std::uint64_t{1} << 18;  // 2 MiB
  static constexpr std::uint64_t mask(std::uint64_t bit) { return std::uint64_t{1} << (bit % 64); }

  struct Bits {
    explicit Bits(std::string_view path) : hash(XXH3_128bits(path.data(), path.size())) {}
    std::uint64_t at(std::uint64_t i) const {
      return (hash.low64 + i * hash.high64) % (kWords * 64);
    }
    XXH128_hash_t hash;
  };

  std::vector<std::uint64_t> words_ = std::vector<std::uint64_t>(kWords);
};

}  // namespace lockstep::stream
