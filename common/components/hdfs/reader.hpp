// Reader: the content of one file. Who reads on in order is given what comes on one connection, and
// which is on its way while he works; who jumps, pieces.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/component/source.hpp"
#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hdfs {

class Reader final : public component::EntryReader {
 public:
  // Of the file at `path` (absolute), which has `size` bytes.
  Reader(WebHdfs& hdfs, std::string path, std::uint64_t size, ErrorCode side);
  // Of the file that lies at one of `paths` (at least one), and may move to another while it is
  // read.
  Reader(WebHdfs& hdfs, std::vector<std::string> paths, std::uint64_t size, ErrorCode side);
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() override;

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override;

 private:
  struct Piece {
    std::uint64_t offset = 0;
    std::vector<std::byte> bytes;
  };
  class Flow;

  // Gives `take` the bytes from `offset` to `end`; nothing: all of them, or as many as it took.
  std::optional<Failure> pass(std::uint64_t offset, std::uint64_t end,
                              const Http::Take& take) const;
  Result<std::size_t> read_some(std::uint64_t offset, std::span<std::byte> into);
  Result<void> fetch(std::uint64_t offset);
  Error failed(const Failure& failure) const;

  WebHdfs& hdfs_;
  std::vector<std::string> paths_;
  std::uint64_t size_;
  ErrorCode side_;
  std::uint64_t next_ = 0;  // where the last read ended
  Piece piece_;
  std::unique_ptr<Flow> flow_;
};

}  // namespace lockstep::hdfs
