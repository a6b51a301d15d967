// Sums: HDFS's checksum of a file, made from its content.
//
// HDFS keeps a CRC of each so many bytes of a block (dfs.bytes-per-checksum). What GETFILECHECKSUM
// tells is, by its name, "MD5-of-<CRCs a block>MD5-of-<bytes a CRC>CRC32C": the MD5 of the MD5s of
// each block's CRCs, in the file's order; of a file of one block the first number is 0. Two files
// of the same content have the same where blocks and CRCs are of the same size (DistCp's -pb). As
// found on 3.4.2 (FileChecksumHelper): the outer MD5 is of the whole buffer in which the blocks'
// MD5s lie, which is 32 bytes, doubled until they fit, and zeros after them. What is hashed into
// the text's bytes: u32 bytes a CRC, u64 CRCs a block, big-endian, and the MD5.
//
// Thread rule: one thread an object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

#include "common/component/source.hpp"

namespace lockstep::hdfs {

// Makes the checksum of bytes that come in order, in the way that `like` was made.
class Sum {
 public:
  // Nothing where `like` ("ALGORITHM:bytes") is of a way that is not known here.
  static std::optional<Sum> like(const std::string& like);
  Sum(Sum&&) noexcept;
  Sum& operator=(Sum&&) noexcept;
  ~Sum();

  void add(std::span<const std::byte> bytes);
  std::string finish();  // once

 private:
  struct State;
  explicit Sum(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The same of the `size` bytes that `reader` reads; `where` names them in errors. Errors:
// source-read, not-supported (`like` is of a way that is not known here), cancelled.
Result<std::string> sum_of(component::EntryReader& reader, std::uint64_t size,
                           const std::string& like, const std::string& where,
                           const std::stop_token& stop);

}  // namespace lockstep::hdfs
