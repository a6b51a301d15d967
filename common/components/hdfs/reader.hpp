// Reader: the content of one file, in pieces of which some more are on their way while one is read.
#pragma once

#include <cstddef>
#include <deque>
#include <future>
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
    std::optional<Failure> failure;  // there are no bytes then
  };
  struct Coming {
    std::uint64_t offset = 0;
    std::future<Piece> piece;
  };
  // Into `memory`, of a piece that is not needed any more.
  Piece fetch(std::uint64_t offset, std::vector<std::byte> memory) const;
  Result<void> turn_to(std::uint64_t offset);
  void ask_ahead(std::uint64_t from, std::size_t pieces);
  void wait_for_all();

  WebHdfs& hdfs_;
  std::vector<std::string> paths_;
  std::uint64_t size_;
  ErrorCode side_;
  std::optional<Piece> piece_;
  std::deque<Coming> coming_;  // one after the other
  std::vector<std::byte> spare_;
};

}  // namespace lockstep::hdfs
