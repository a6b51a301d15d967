// Digests of content, of entries and of whole data sets, as docs/point-format.md defines them.
//
// A database's mtime counts as 0 there: the component that reads it gives mtime_ns 0 in its entry.
//
// Thread rule: values; an object belongs to one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/component/entry.hpp"

namespace lockstep::stream {

using component::Digest128;
using component::Digest256;
using component::Entry;

inline constexpr std::uint64_t kLeaf = 65536;

// Leaves of a file of `size` bytes; an empty file has none.
constexpr std::uint64_t leaf_count(std::uint64_t size) { return (size + kLeaf - 1) / kLeaf; }
// Bytes in leaf `index` of a file of `size` bytes.
constexpr std::uint64_t leaf_length(std::uint64_t size, std::uint64_t index) {
  const std::uint64_t left = size - index * kLeaf;
  return left < kLeaf ? left : kLeaf;
}

// XXH3-128 in canonical form; `block` is a leaf, or anything else.
Digest128 xxh3_128(std::span<const std::byte> block);
// The digest of `length` zero bytes (at most a leaf): what a hole's leaf has.
Digest128 zero_leaf_digest(std::uint64_t length);

// SHA-256, in pieces.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view bytes);
  void update_u32(std::uint32_t number);  // little-endian
  void update_u64(std::uint64_t number);
  Digest256 finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The content digest of a file whose leaves come in order.
class ContentDigest {
 public:
  explicit ContentDigest(std::uint64_t size);
  void add(const Digest128& leaf);
  std::uint64_t leaves() const { return leaves_; }
  Digest256 finish();  // requires: leaf_count(size) leaves were added

 private:
  Sha256 hash_;
  std::uint64_t leaves_ = 0;
};

// The content digest of a file whose content is known by its store's checksum (Entry::sum).
Digest256 content_of_sum(std::uint64_t size, std::string_view sum);

// The entry digest of anything but a directory. `content` is used for regular files only.
Digest256 entry_digest(const Entry& entry, const Digest256& content);

// The entry digest of a directory whose children come in order.
class DirectoryDigest {
 public:
  explicit DirectoryDigest(const Entry& directory);
  void add(std::string_view name, const Digest256& child);
  std::uint64_t children() const { return children_; }
  Digest256 finish();

 private:
  Sha256 hash_;
  std::uint64_t children_ = 0;
};

// Lower-case hexadecimal, as digests stand in messages and records.
std::string to_hex(std::span<const std::uint8_t> bytes);
std::optional<Digest256> digest256_from_hex(std::string_view text);

}  // namespace lockstep::stream
