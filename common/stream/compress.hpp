// Compressing the bodies of packs, where it pays.
//
// Thread rule: one object a thread.
#pragma once

#include <memory>
#include <span>

#include "common/stream/bytes.hpp"

namespace lockstep::stream {

class Compressor {
 public:
  Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;
  ~Compressor();

  // The compressed body (zstd, one frame with its content size), or nothing where a sample of it,
  // or the whole, does not become clearly smaller.
  std::unique_ptr<Buffer> compress(std::span<const std::byte> body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class Decompressor {
 public:
  Decompressor();
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
  ~Decompressor();

  // Exactly `raw_length` bytes, or nothing: no frame makes it write more than that.
  std::unique_ptr<Buffer> decompress(std::span<const std::byte> wire, std::size_t raw_length);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lockstep::stream
