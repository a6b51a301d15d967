#include "common/stream/digest.hpp"

#include <openssl/evp.h>
#include <xxhash.h>

#include <array>
#include <cstdlib>
#include <cstring>

namespace lockstep::stream {
namespace {

// A tag ends with its NUL, so that no tag is the beginning of another.
template <std::size_t N>
std::string_view tag(const char (&text)[N]) {
  return {text, N};
}

void add_counted(Sha256& hash, std::string_view bytes) {
  hash.update_u32(static_cast<std::uint32_t>(bytes.size()));
  hash.update(bytes);
}

Sha256 begin_entry(const Entry& entry) {
  using component::EntryKind;
  const EntryKind kind = entry.kind;
  const bool link = kind == EntryKind::hard_link;
  const bool device = kind == EntryKind::char_device || kind == EntryKind::block_device;
  Sha256 hash;
  hash.update(tag("lockstep.entry.1"));
  const char kind_byte = static_cast<char>(kind);
  hash.update(std::string_view(&kind_byte, 1));
  hash.update_u32(link || kind == EntryKind::symlink ? 0 : entry.mode);
  hash.update_u32(link ? 0 : entry.uid);
  hash.update_u32(link ? 0 : entry.gid);
  hash.update_u64(link ? 0 : static_cast<std::uint64_t>(entry.mtime_ns));
  hash.update_u64(kind == EntryKind::regular ? entry.size : 0);
  hash.update_u64(device ? entry.device : 0);
  add_counted(hash, link || kind == EntryKind::symlink ? entry.link_target : std::string_view{});
  if (link) {
    hash.update_u32(0);
    return hash;
  }
  hash.update_u32(static_cast<std::uint32_t>(entry.xattrs.size()));
  for (const auto& xattr : entry.xattrs) {
    add_counted(hash, xattr.name);
    add_counted(hash, xattr.value);
  }
  return hash;
}

}  // namespace

Digest128 xxh3_128(std::span<const std::byte> block) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(block.data(), block.size()));
  Digest128 out;
  static_assert(sizeof canonical.digest == sizeof(Digest128));
  std::memcpy(out.data(), canonical.digest, out.size());
  return out;
}

Digest128 zero_leaf_digest(std::uint64_t length) {
  static const std::array<std::byte, kLeaf> zeros{};
  static const Digest128 whole = xxh3_128(zeros);
  if (length == kLeaf) return whole;
  return xxh3_128(std::span(zeros).first(static_cast<std::size_t>(length)));
}

struct Sha256::State {
  // Contexts are made for millions of entries: a thread keeps those that it ended.
  struct Spare {
    std::vector<EVP_MD_CTX*> contexts;
    ~Spare() {
      for (EVP_MD_CTX* one : contexts) EVP_MD_CTX_free(one);
    }
    EVP_MD_CTX* take() {
      if (contexts.empty()) return EVP_MD_CTX_new();
      EVP_MD_CTX* const one = contexts.back();
      contexts.pop_back();
      return one;
    }
    void give(EVP_MD_CTX* one) {
      if (contexts.size() < 16)
        contexts.push_back(one);
      else
        EVP_MD_CTX_free(one);
    }
  };
  static Spare& spare() {
    static thread_local Spare kept;
    return kept;
  }

  EVP_MD_CTX* context = spare().take();
  State() {
    // Both fail only when memory is gone or OpenSSL is broken; there is nothing to go on with.
    static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    if (context == nullptr || EVP_DigestInit_ex(context, sha256, nullptr) != 1) std::abort();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { spare().give(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) std::abort();
}
void Sha256::update(std::string_view bytes) { update(std::as_bytes(std::span(bytes))); }
void Sha256::update_u32(std::uint32_t number) { update(std::as_bytes(std::span(&number, 1))); }
void Sha256::update_u64(std::uint64_t number) { update(std::as_bytes(std::span(&number, 1))); }

Digest256 Sha256::finish() {
  Digest256 out;
  unsigned size = 0;
  if (EVP_DigestFinal_ex(state_->context, out.data(), &size) != 1) std::abort();
  return out;
}

ContentDigest::ContentDigest(std::uint64_t size) {
  hash_.update(tag("lockstep.content.1"));
  hash_.update_u64(size);
}

void ContentDigest::add(const Digest128& leaf) {
  hash_.update(std::as_bytes(std::span(leaf)));
  ++leaves_;
}

Digest256 ContentDigest::finish() { return hash_.finish(); }

Digest256 content_of_sum(std::uint64_t size, std::string_view sum) {
  Sha256 hash;
  hash.update(tag("lockstep.content.sum.1"));
  hash.update_u64(size);
  hash.update(sum);
  return hash.finish();
}

Digest256 entry_digest(const Entry& entry, const Digest256& content) {
  Sha256 hash = begin_entry(entry);
  if (entry.kind == component::EntryKind::regular) hash.update(std::as_bytes(std::span(content)));
  return hash.finish();
}

DirectoryDigest::DirectoryDigest(const Entry& directory) : hash_(begin_entry(directory)) {}

void DirectoryDigest::add(std::string_view name, const Digest256& child) {
  add_counted(hash_, name);
  hash_.update(std::as_bytes(std::span(child)));
  ++children_;
}

Digest256 DirectoryDigest::finish() {
  hash_.update_u64(children_);
  return hash_.finish();
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::optional<Digest256> digest256_from_hex(std::string_view text) {
  Digest256 out;
  if (text.size() != out.size() * 2) return std::nullopt;
  auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return out;
}

}  // namespace lockstep::stream
