#include "services/cli/tar.hpp"

#include <fmt/format.h>

namespace lockstep::cli {

namespace {

constexpr std::size_t kBlock = 512;

// Fields of the header (pax(1), "ustar Interchange Format"): where each begins.
constexpr std::size_t kName = 0;
constexpr std::size_t kMode = 100;
constexpr std::size_t kUser = 108;
constexpr std::size_t kGroup = 116;
constexpr std::size_t kSize = 124;
constexpr std::size_t kTime = 136;
constexpr std::size_t kSum = 148;
constexpr std::size_t kType = 156;
constexpr std::size_t kMagic = 257;

}  // namespace

void Tar::add(const std::string& name, const std::string& text, UtcNanos modified) {
  std::string header(kBlock, '\0');
  const auto put = [&header](std::size_t at, const std::string& field) {
    header.replace(at, field.size(), field);
  };
  put(kName, name.substr(0, kMode));
  put(kMode, "0000600");
  put(kUser, "0000000");
  put(kGroup, "0000000");
  put(kSize, fmt::format("{:011o}", text.size()));
  put(kTime, fmt::format("{:011o}", modified.count / 1'000'000'000));
  put(kSum, std::string(8, ' '));
  put(kType, "0");
  put(kMagic, std::string("ustar\00000", 8));
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(kSum, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  blocks_ += header + text + std::string((kBlock - text.size() % kBlock) % kBlock, '\0');
}

}  // namespace lockstep::cli
