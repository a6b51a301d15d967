// Copies single inodes of a data set into a pin: content by reflink or by copying what is not a
// hole, and all metadata that Lockstep carries.
//
// Thread rule: one thread an object.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/clock/clock.hpp"
#include "common/components/files/pin_walk.hpp"
#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

class InodeCopier {
 public:
  // `stop` is asked now and then during long copies.
  InodeCopier(os::Disk& disk, const Clock& clock, bool reflink, std::function<bool()> stop);

  enum class Outcome {
    made,
    changed,  // it is no longer what `node` saw; nothing was left
    stopped,  // `stop` said so; nothing was left
  };
  // Makes `node.name` in `to` (nothing of that name is there) from an entry that is no directory.
  // `shown`: its path, for messages.
  Result<Outcome> copy(const Node& node, int to, const std::string& shown);

  // Owner, mode, extended attributes (those in the way are removed) and times, of a directory.
  Result<void> copy_directory_metadata(const Node& node, int from, int to,
                                       const std::string& shown);

  // What copying content took so far.
  std::uint64_t bytes() const { return bytes_; }
  Nanos spent() const { return spent_; }

 private:
  Result<Outcome> copy_regular(const Node& node, int to, const std::string& shown);
  Result<Outcome> copy_special(const Node& node, int to, const std::string& shown);
  Result<Outcome> copy_content(int from, int to, std::uint64_t size, const std::string& shown);
  Result<void> copy_range(int from, int to, std::uint64_t offset, std::uint64_t length,
                          const std::string& shown);
  Result<void> copy_by_reading(int from, int to, std::uint64_t offset, std::uint64_t length,
                               const std::string& shown);
  Result<void> copy_xattrs(int from, int to, const std::string& shown);

  os::Disk& disk_;
  const Clock& clock_;
  bool reflink_;
  std::function<bool()> stop_;
  std::string buffer_;
  std::uint64_t bytes_ = 0;
  Nanos spent_;
};

}  // namespace lockstep::files
