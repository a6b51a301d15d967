#include "common/components/hdfs/reader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace lockstep::hdfs {

namespace {
// Each piece costs two requests, some milliseconds: large enough that they do not show.
constexpr std::uint64_t kPiece = std::uint64_t{4} << 20U;
// On their way beside the one that is read: one connection alone does not keep a DataNode busy.
constexpr std::size_t kAhead = 3;
}  // namespace

Reader::Reader(WebHdfs& hdfs, std::string path, std::uint64_t size, ErrorCode side)
    : Reader(hdfs, std::vector{std::move(path)}, size, side) {}

Reader::Reader(WebHdfs& hdfs, std::vector<std::string> paths, std::uint64_t size, ErrorCode side)
    : hdfs_(hdfs), paths_(std::move(paths)), size_(size), side_(side) {}

Reader::~Reader() { wait_for_all(); }

void Reader::wait_for_all() {
  for (Coming& one : coming_) one.piece.wait();
  coming_.clear();
}

Reader::Piece Reader::fetch(std::uint64_t offset, std::vector<std::byte> memory) const {
  Piece piece;
  piece.offset = offset;
  piece.bytes = std::move(memory);
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
  if (piece_) spare_ = std::move(piece_->bytes);
  while (!coming_.empty() && coming_.front().offset < from) {  // skipped
    coming_.front().piece.wait();
    coming_.pop_front();
  }
  if (!coming_.empty() && coming_.front().offset == from) {
    piece_ = coming_.front().piece.get();
    coming_.pop_front();
  } else {
    wait_for_all();
    piece_ = fetch(from, std::move(spare_));
  }
  if (piece_->failure) {
    Error error = to_error(*piece_->failure, side_, "read", paths_.front());
    piece_.reset();
    return error;
  }
  // Who went on once goes on.
  const auto others = static_cast<std::size_t>(std::max(hdfs_.settings().connections - 1, 1));
  ask_ahead(from + kPiece, onward ? std::min(kAhead, others) : from == 0 ? 1 : 0);
  return {};
}

void Reader::ask_ahead(std::uint64_t from, std::size_t pieces) {
  std::uint64_t next = coming_.empty() ? from : coming_.back().offset + kPiece;
  for (; coming_.size() < pieces && next < size_; next += kPiece) {
    coming_.push_back(
        {next, std::async(std::launch::async, [this, next, memory = std::move(spare_)]() mutable {
           return fetch(next, std::move(memory));
         })});
    spare_ = {};
  }
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
