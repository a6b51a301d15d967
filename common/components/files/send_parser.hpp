// SendParser: which paths a btrfs send stream speaks of (fs/btrfs/send.h of the kernel: a header,
// then commands of length, number, checksum, and attributes of type, length and value; integers
// little-endian; version 1).
//
// Thread rule: one thread.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "common/error/error.hpp"

namespace lockstep::files {

struct Touched {
  std::string path;    // relative to the subvolume; "" its root
  bool below = false;  // and everything that lies inside it
};

class SendParser {
 public:
  using Sink = std::function<Result<void>(Touched)>;
  explicit SendParser(Sink sink) : sink_(std::move(sink)) {}

  // The next bytes of the stream, cut anywhere. Errors: source-read (no stream that this
  // understands: other version, unknown command, cut commands), and the sink's.
  Result<void> take(std::span<const std::byte> bytes);
  // True once the stream's own end has been seen.
  bool ended() const { return ended_; }

 private:
  Result<bool> step();
  Result<void> command(unsigned number, std::string_view attributes);

  Sink sink_;
  std::string buffer_;
  std::size_t position_ = 0;
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace lockstep::files
