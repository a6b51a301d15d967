#include "common/components/hdfs/sums.hpp"

#include <isa-l/crc.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "common/components/hdfs/hex.hpp"

namespace lockstep::hdfs {

namespace {

using Md5 = std::array<std::uint8_t, 16>;

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

class Md5Maker {
 public:
  Md5Maker() { begin(); }
  void add(std::span<const std::uint8_t> bytes) {
    if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) std::abort();
  }
  // And begins anew.
  Md5 finish() {
    Md5 out;
    unsigned size = 0;
    if (EVP_DigestFinal_ex(context_.get(), out.data(), &size) != 1) std::abort();
    begin();
    return out;
  }

 private:
  // Fails only when memory is gone or OpenSSL is broken; there is nothing to go on with.
  void begin() {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_md5(), nullptr) != 1) std::abort();
  }
  std::unique_ptr<EVP_MD_CTX, FreeContext> context_{EVP_MD_CTX_new()};
};

template <class Number>
std::array<std::uint8_t, sizeof(Number)> big_endian(Number number) {
  std::array<std::uint8_t, sizeof(Number)> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<std::uint8_t>(number >> (8 * (out.size() - 1 - i)));
  }
  return out;
}

std::string hex_of(std::span<const std::uint8_t> bytes) {
  return to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// Takes a number off the front of `text`.
template <class Number>
bool take_number(std::string_view& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool take_word(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

}  // namespace

struct Sum::State {
  std::string algorithm;
  std::uint64_t crcs_per_block = 0;
  std::uint32_t bytes_per_crc = 0;
  bool castagnoli = false;

  std::uint32_t crc = 0;  // of the bytes since the last whole one
  std::uint32_t crc_bytes = 0;
  std::uint64_t crcs = 0;  // whole ones of the block under way
  Md5Maker block;
  std::vector<std::uint8_t> blocks;  // the MD5s of those that ended

  void extend(std::span<const std::byte> bytes) {
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    if (castagnoli) {
      // Its own initial and final values are left to the caller. It does not write to what it
      // reads.
      crc = ~::crc32_iscsi(const_cast<unsigned char*>(data), static_cast<int>(bytes.size()), ~crc);
    } else {
      crc = ::crc32_gzip_refl(crc, data, bytes.size());
    }
    crc_bytes += static_cast<std::uint32_t>(bytes.size());
  }
  void end_crc() {
    block.add(big_endian(crc));
    crc = crc_bytes = 0;
    ++crcs;
    if (crcs_per_block > 0 && crcs == crcs_per_block) end_block();
  }
  void end_block() {
    const Md5 made = block.finish();
    blocks.insert(blocks.end(), made.begin(), made.end());
    crcs = 0;
  }
};

Sum::Sum(std::unique_ptr<State> state) : state_(std::move(state)) {}
Sum::Sum(Sum&&) noexcept = default;
Sum& Sum::operator=(Sum&&) noexcept = default;
Sum::~Sum() = default;

std::optional<Sum> Sum::like(const std::string& like) {
  auto state = std::make_unique<State>();
  state->algorithm = like.substr(0, like.find(':'));
  std::string_view rest = state->algorithm;
  const bool read = take_word(rest, "MD5-of-") && take_number(rest, state->crcs_per_block) &&
                    take_word(rest, "MD5-of-") && take_number(rest, state->bytes_per_crc);
  state->castagnoli = rest == "CRC32C";
  if (!read || state->bytes_per_crc == 0 || (rest != "CRC32C" && rest != "CRC32")) return {};
  return Sum(std::move(state));
}

void Sum::add(std::span<const std::byte> bytes) {
  State& state = *state_;
  while (!bytes.empty()) {
    const std::size_t some =
        std::min<std::size_t>(bytes.size(), state.bytes_per_crc - state.crc_bytes);
    state.extend(bytes.first(some));
    if (state.crc_bytes == state.bytes_per_crc) state.end_crc();
    bytes = bytes.subspan(some);
  }
}

std::string Sum::finish() {
  State& state = *state_;
  if (state.crc_bytes > 0) state.end_crc();
  if (state.crcs > 0) state.end_block();
  std::size_t buffer = 32;
  while (buffer < state.blocks.size()) buffer *= 2;
  state.blocks.resize(buffer);
  state.block.add(state.blocks);
  return state.algorithm + ":" + hex_of(big_endian(state.bytes_per_crc)) +
         hex_of(big_endian(state.crcs_per_block)) + hex_of(state.block.finish());
}

Result<std::string> sum_of(component::EntryReader& reader, std::uint64_t size,
                           const std::string& like, const std::string& where,
                           const std::stop_token& stop) {
  auto sum = Sum::like(like);
  if (!sum) {
    return make_error(ErrorCode::not_supported, "a checksum of an unknown kind: " + like, where);
  }
  std::vector<std::byte> piece(std::size_t{1} << 20U);
  for (std::uint64_t at = 0; at < size;) {
    if (stop.stop_requested()) return make_error(ErrorCode::cancelled, "reading was stopped");
    LOCKSTEP_TRY(const std::size_t got, reader.read(at, piece));
    if (got == 0) {
      return make_error(ErrorCode::source_read, "the file is shorter than its size says", where);
    }
    sum->add(std::span(piece).first(got));
    at += got;
  }
  return sum->finish();
}

}  // namespace lockstep::hdfs
