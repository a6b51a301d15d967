#include "common/components/hdfs/reader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace lockstep::hdfs {

namespace {
// Each piece costs two requests, some milliseconds: large enough that they do not show.
constexpr std::uint64_t kPiece = std::uint64_t{4} << 20U;
}  // namespace

Reader::Reader(WebHdfs& hdfs, std::string path, std::uint64_t size, ErrorCode side)
    : Reader(hdfs, std::vector{std::move(path)}, size, side) {}

Reader::Reader(WebHdfs& hdfs, std::vector<std::string> paths, std::uint64_t size, ErrorCode side)
    : hdfs_(hdfs), paths_(std::move(paths)), size_(size), side_(side) {}

Reader::~Reader() {
  if (coming_.valid()) coming_.wait();
}

Reader::Piece Reader::fetch(std::uint64_t offset) const {
  Piece piece;
  piece.offset = offset;
  piece.bytes.resize(static_cast<std::size_t>(std::min(kPiece, size_ - offset)));
  for (const std::string& path : paths_) {
    auto read = hdfs_.read(path, offset, piece.bytes);
    if (read) return piece;
    const bool elsewhere = read.error().trouble == Trouble::missing;
    if (!piece.failure || !elsewhere) piece.failure = std::move(read).error();
    if (!elsewhere) return piece;
  }
  // On its way from the first to the second place it was at neither when it was looked for.
  if (paths_.size() > 1) {
    if (hdfs_.read(paths_.front(), offset, piece.bytes)) piece.failure.reset();
  }
  return piece;
}

// Makes `piece_` the one that holds `offset`.
Result<void> Reader::turn_to(std::uint64_t offset) {
  const std::uint64_t from = offset / kPiece * kPiece;
  const bool onward = piece_ && from == piece_->offset + kPiece;
  if (coming_.valid() && coming_from_ == from) {
    piece_ = coming_.get();
  } else {
    if (coming_.valid()) coming_.wait();
    coming_ = {};
    piece_ = fetch(from);
  }
  if (piece_->failure) {
    Error error = to_error(*piece_->failure, side_, "read", paths_.front());
    piece_.reset();
    return error;
  }
  const std::uint64_t next = from + kPiece;
  // Who went on once goes on.
  if (next < size_ && (onward || from == 0)) {
    coming_from_ = next;
    coming_ = std::async(std::launch::async, [this, next] { return fetch(next); });
  }
  return {};
}

Result<std::size_t> Reader::read(std::uint64_t offset, std::span<std::byte> into) {
  std::size_t done = 0;
  while (done < into.size() && offset < size_) {
    if (!piece_ || offset < piece_->offset || offset >= piece_->offset + piece_->bytes.size()) {
      LOCKSTEP_CHECK(turn_to(offset));
    }
    const std::size_t skip = static_cast<std::size_t>(offset - piece_->offset);
    const std::size_t count = std::min(into.size() - done, piece_->bytes.size() - skip);
    std::memcpy(into.data() + done, piece_->bytes.data() + skip, count);
    done += count;
    offset += count;
  }
  return done;
}

}  // namespace lockstep::hdfs
