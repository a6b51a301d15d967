// Content for sources that tests make up: a text again and again.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "common/component/source.hpp"

namespace lockstep::test {

class Repeated final : public component::EntryReader {
 public:
  Repeated(std::string text, std::uint64_t size) : text_(std::move(text)), size_(size) {}
  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override {
    const auto left = static_cast<std::size_t>(size_ - offset);
    const std::size_t count = std::min(into.size(), left);
    for (std::size_t i = 0; i < count; ++i)
      into[i] = static_cast<std::byte>(text_[(offset + i) % text_.size()]);
    return count;
  }

 private:
  std::string text_;
  std::uint64_t size_;
};

}  // namespace lockstep::test
