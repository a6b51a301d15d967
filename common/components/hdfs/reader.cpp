#include "common/components/hdfs/reader.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>
#include <utility>

#include "common/components/hdfs/body.hpp"

namespace lockstep::hdfs {

namespace {
// Each piece costs two requests, some milliseconds: large enough that they do not show.
constexpr std::uint64_t kPiece = std::uint64_t{4} << 20U;
// Rather read past so much than ask anew.
constexpr std::uint64_t kSkip = std::uint64_t{2} << 20U;
}  // namespace

// The file from some place to its end, as it comes. Thread rule: the reader's thread.
class Reader::Flow {
 public:
  Flow(const Reader& reader, std::uint64_t offset)
      : position_(offset), thread_([this, &reader, offset] {
          failure_ = reader.pass(offset, reader.size_, [this](std::span<const std::byte> bytes) {
            return body_.add(bytes);
          });
          if (failure_) body_.give_up();
        }) {}
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;
  ~Flow() { body_.give_up(); }

  std::uint64_t position() const { return position_; }

  // Requires that there is more. Returns at least one byte.
  Reply<std::size_t> take(std::span<std::byte> into) {
    const std::size_t got = body_.take(into);
    if (got == 0) return *failure_;
    position_ += got;
    return got;
  }

 private:
  std::uint64_t position_;  // of what is taken next
  Body body_;
  std::optional<Failure> failure_;  // to be read once the body was given up
  std::jthread thread_;
};

Reader::Reader(WebHdfs& hdfs, std::string path, std::uint64_t size, ErrorCode side)
    : Reader(hdfs, std::vector{std::move(path)}, size, side) {}

Reader::Reader(WebHdfs& hdfs, std::vector<std::string> paths, std::uint64_t size, ErrorCode side)
    : hdfs_(hdfs), paths_(std::move(paths)), size_(size), side_(side) {}

Reader::~Reader() = default;

std::optional<Failure> Reader::pass(std::uint64_t offset, std::uint64_t end,
                                    const Http::Take& take) const {
  const Http::Take counted = [&](std::span<const std::byte> bytes) {
    offset += bytes.size();
    return take(bytes);
  };
  std::optional<Failure> first;
  for (const std::string& path : paths_) {
    auto done = hdfs_.stream(path, offset, end - offset, counted);
    if (done) return std::nullopt;
    const bool elsewhere = done.error().trouble == Trouble::missing;
    if (!first || !elsewhere) first = std::move(done).error();
    if (!elsewhere) return first;
  }
  // On its way from the first to the second place it was at neither when it was looked for.
  if (paths_.size() > 1 && hdfs_.stream(paths_.front(), offset, end - offset, counted)) return {};
  return first;
}

Error Reader::failed(const Failure& failure) const {
  return to_error(failure, side_, "read", paths_.front());
}

// Makes `piece_` the one that holds `offset`.
Result<void> Reader::fetch(std::uint64_t offset) {
  piece_.offset = offset / kPiece * kPiece;
  const std::uint64_t end = std::min(size_, piece_.offset + kPiece);
  piece_.bytes.clear();
  piece_.bytes.reserve(static_cast<std::size_t>(end - piece_.offset));
  const auto failure = pass(piece_.offset, end, [this](std::span<const std::byte> bytes) {
    piece_.bytes.insert(piece_.bytes.end(), bytes.begin(), bytes.end());
    return true;
  });
  if (!failure) return {};
  piece_.bytes.clear();
  return failed(*failure);
}

Result<std::size_t> Reader::read_some(std::uint64_t offset, std::span<std::byte> into) {
  const bool held = offset >= piece_.offset && offset - piece_.offset < piece_.bytes.size();
  if (held) {
    const std::size_t skip = static_cast<std::size_t>(offset - piece_.offset);
    const std::size_t count = std::min(into.size(), piece_.bytes.size() - skip);
    std::memcpy(into.data(), piece_.bytes.data() + skip, count);
    return count;
  }
  // Who went on once goes on; a file that is no more than a piece needs no connection to itself.
  const bool in_order = offset == next_ && (offset > 0 || size_ > kPiece);
  const bool ahead = flow_ && offset >= flow_->position() && offset - flow_->position() <= kSkip;
  if (!ahead) flow_.reset();
  if (!ahead && !in_order) {
    LOCKSTEP_CHECK(fetch(offset));
    return std::size_t{0};  // it is held now
  }
  if (!flow_) flow_ = std::make_unique<Flow>(*this, offset);
  std::array<std::byte, 65536> past;
  while (flow_->position() < offset) {
    const std::size_t rest = static_cast<std::size_t>(offset - flow_->position());
    auto passed = flow_->take(std::span(past).first(std::min(rest, past.size())));
    if (!passed) return failed(passed.error());
  }
  auto got = flow_->take(into);
  if (!got) return failed(got.error());
  return *got;
}

Result<std::size_t> Reader::read(std::uint64_t offset, std::span<std::byte> into) {
  std::size_t done = 0;
  const std::uint64_t end = std::min(size_, offset + into.size());
  while (offset < end) {
    const auto rest = into.subspan(done, static_cast<std::size_t>(end - offset));
    auto got = read_some(offset, rest);
    if (!got) {
      flow_.reset();  // a later try begins anew
      return got.error();
    }
    done += *got;
    offset += *got;
    next_ = offset;
  }
  return done;
}

}  // namespace lockstep::hdfs
