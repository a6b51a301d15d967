#include "common/components/files/send_parser.hpp"

#include <cstdint>
#include <optional>

#include "common/components/files/directories.hpp"

namespace lockstep::files {

namespace {

constexpr std::string_view kMagic{"btrfs-stream\0", 13};
constexpr std::size_t kHeader = kMagic.size() + 4;
constexpr std::size_t kCommandHeader = 4 + 2 + 4;
constexpr std::size_t kAttributeHeader = 2 + 2;
constexpr std::size_t kLongestCommand = 1 << 20;  // without file data a few KiB

// enum btrfs_send_cmd
enum Command : unsigned {
  kSnapshot = 2,
  kMakeFile = 3,
  kMakeDirectory = 4,
  kMakeNode = 5,
  kMakeFifo = 6,
  kMakeSocket = 7,
  kSymlink = 8,
  kRename = 9,
  kLink = 10,
  kUnlink = 11,
  kRemoveDirectory = 12,
  kSetXattr = 13,
  kRemoveXattr = 14,
  kWrite = 15,
  kClone = 16,
  kTruncate = 17,
  kChangeMode = 18,
  kChangeOwner = 19,
  kTimes = 20,
  kEnd = 21,
  kUpdateExtent = 22,
};
// enum btrfs_send_attr
enum Attribute : unsigned { kPath = 15, kPathTo = 16, kPathLink = 17 };

std::uint64_t number(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  }
  return value;
}

Error not_understood(const std::string& why) {
  return make_error(ErrorCode::source_read, "btrfs's list of changes is not understood: " + why);
}

}  // namespace

Result<void> SendParser::take(std::span<const std::byte> bytes) {
  buffer_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  while (true) {
    LOCKSTEP_TRY(const bool more, step());
    if (!more) break;
  }
  buffer_.erase(0, position_);
  position_ = 0;
  return {};
}

// One command, if it is there in full.
Result<bool> SendParser::step() {
  const std::string_view left = std::string_view(buffer_).substr(position_);
  if (!begun_) {
    if (left.size() < kHeader) return false;
    if (!left.starts_with(kMagic) || number(left, kMagic.size(), 4) != 1) {
      return not_understood("it is no stream of version 1");
    }
    begun_ = true;
    position_ += kHeader;
    return true;
  }
  if (left.size() < kCommandHeader) return false;
  if (ended_) return not_understood("something follows its end");
  const auto length = static_cast<std::size_t>(number(left, 0, 4));
  if (length > kLongestCommand) return not_understood("a command is too long");
  if (left.size() < kCommandHeader + length) return false;
  LOCKSTEP_CHECK(
      command(static_cast<unsigned>(number(left, 4, 2)), left.substr(kCommandHeader, length)));
  position_ += kCommandHeader + length;
  return true;
}

Result<void> SendParser::command(unsigned code, std::string_view attributes) {
  std::optional<std::string> path;
  std::optional<std::string> to;
  std::optional<std::string> linked;
  for (std::size_t at = 0; at < attributes.size();) {
    if (attributes.size() - at < kAttributeHeader) return not_understood("an attribute is cut");
    const auto type = static_cast<unsigned>(number(attributes, at, 2));
    const auto length = static_cast<std::size_t>(number(attributes, at + 2, 2));
    at += kAttributeHeader;
    if (attributes.size() - at < length) return not_understood("an attribute is cut");
    if (type == kPath) path = attributes.substr(at, length);
    if (type == kPathTo) to = attributes.substr(at, length);
    if (type == kPathLink) linked = attributes.substr(at, length);
    at += length;
  }
  // What makes or takes a name changes the directory too.
  const auto name = [this](const std::string& text, bool below) -> Result<void> {
    LOCKSTEP_CHECK(sink_({std::string(directory_of(text)), false}));
    return sink_({text, below});
  };
  switch (code) {
    case kEnd:
      ended_ = true;
      return {};
    case kSnapshot:
      return {};
    case kMakeFile:
    case kMakeNode:
    case kMakeFifo:
    case kMakeSocket:
    case kSymlink:  // its kPathLink is the link's text
    case kUnlink:
    case kRemoveDirectory:
      if (!path) break;
      return name(*path, false);
    case kMakeDirectory:
      if (!path) break;
      return name(*path, true);
    case kRename:
      if (!path || !to) break;
      LOCKSTEP_CHECK(name(*path, false));
      return name(*to, true);
    case kLink:
      if (!path || !linked) break;
      LOCKSTEP_CHECK(name(*path, false));
      return sink_({*linked, false});
    case kSetXattr:
    case kRemoveXattr:
    case kWrite:
    case kClone:
    case kTruncate:
    case kChangeMode:
    case kChangeOwner:
    case kTimes:
    case kUpdateExtent:
      if (!path) break;
      return sink_({*path, false});
    default:
      return not_understood("unknown command " + std::to_string(code));
  }
  return not_understood("command " + std::to_string(code) + " without its path");
}

}  // namespace lockstep::files
