// PageBuffer: bytes that begin where a page of memory does, so that a source may read from the disk
// into them with nothing in between (O_DIRECT, open(2)).
//
// Thread rule: a value that moves.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace lockstep::stream {

class PageBuffer {
 public:
  // `size`: a multiple of kPage. The bytes hold anything.
  explicit PageBuffer(std::size_t size)
      : size_(size), bytes_(static_cast<std::byte*>(std::aligned_alloc(kPage, size))) {
    if (!bytes_) throw std::bad_alloc();
  }
  std::span<std::byte> bytes() { return {bytes_.get(), size_}; }

  static constexpr std::size_t kPage = 4096;

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };

  std::size_t size_;
  std::unique_ptr<std::byte, Free> bytes_;
};

}  // namespace lockstep::stream
