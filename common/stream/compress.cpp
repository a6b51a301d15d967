#include "common/stream/compress.hpp"

#include <zstd.h>

#include <algorithm>
#include <new>

namespace lockstep::stream {
namespace {

constexpr int kLevel = 1;
constexpr std::size_t kSample = 32 * 1024;
constexpr std::size_t kLeast = 512;  // smaller bodies are not worth a frame

// Worth it: at least a sixth is saved.
bool pays(std::size_t wire, std::size_t raw) { return wire < raw - raw / 6; }

}  // namespace

struct Compressor::State {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  Buffer scratch;
  State() {
    if (context == nullptr) throw std::bad_alloc();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { ZSTD_freeCCtx(context); }

  // Its size; 0 where it failed or does not pay.
  std::size_t run(std::span<const std::byte> raw) {
    scratch.resize(ZSTD_compressBound(raw.size()));
    const std::size_t size =
        ZSTD_compressCCtx(context, scratch.data(), scratch.size(), raw.data(), raw.size(), kLevel);
    return ZSTD_isError(size) == 0U && pays(size, raw.size()) ? size : 0;
  }
};

Compressor::Compressor() : state_(std::make_unique<State>()) {}
Compressor::~Compressor() = default;

std::unique_ptr<Buffer> Compressor::compress(std::span<const std::byte> body) {
  if (body.size() < kLeast) return nullptr;
  if (body.size() > 2 * kSample &&
      state_->run(body.subspan((body.size() - kSample) / 2, kSample)) == 0)
    return nullptr;
  const std::size_t size = state_->run(body);
  if (size == 0) return nullptr;
  return std::make_unique<Buffer>(state_->scratch.begin(),
                                  state_->scratch.begin() + static_cast<std::ptrdiff_t>(size));
}

struct Decompressor::State {
  ZSTD_DCtx* context = ZSTD_createDCtx();
  State() {
    if (context == nullptr) throw std::bad_alloc();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { ZSTD_freeDCtx(context); }
};

Decompressor::Decompressor() : state_(std::make_unique<State>()) {}
Decompressor::~Decompressor() = default;

std::unique_ptr<Buffer> Decompressor::decompress(std::span<const std::byte> wire,
                                                 std::size_t raw_length) {
  auto raw = std::make_unique<Buffer>(raw_length);
  const std::size_t size =
      ZSTD_decompressDCtx(state_->context, raw->data(), raw->size(), wire.data(), wire.size());
  if (ZSTD_isError(size) != 0U || size != raw_length) return nullptr;
  return raw;
}

}  // namespace lockstep::stream
