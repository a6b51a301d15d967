#include "common/components/hdfs/body.hpp"

#include <algorithm>
#include <cstring>

namespace lockstep::hdfs {

bool Body::add(std::span<const std::byte> bytes) {
  std::unique_lock lock(mutex_);
  moved_.wait(lock, [this] { return given_up_ || held_ < kMost; });
  if (given_up_) return false;
  std::string piece;
  if (!spare_.empty()) {
    piece = std::move(spare_.back());
    spare_.pop_back();
  }
  piece.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  pieces_.push_back(std::move(piece));
  held_ += bytes.size();
  moved_.notify_all();
  return true;
}

std::size_t Body::take(std::span<std::byte> into) {
  std::unique_lock lock(mutex_);
  moved_.wait(lock, [this] { return given_up_ || held_ > 0; });
  if (given_up_) return 0;
  while (pieces_.front().size() == skip_) drop_first();
  const std::string& piece = pieces_.front();
  const std::size_t count = std::min(into.size(), piece.size() - skip_);
  std::memcpy(into.data(), piece.data() + skip_, count);
  skip_ += count;
  held_ -= count;
  if (skip_ == piece.size()) drop_first();
  moved_.notify_all();
  return count;
}

void Body::drop_first() {
  spare_.push_back(std::move(pieces_.front()));
  pieces_.pop_front();
  skip_ = 0;
}

void Body::give_up() {
  const std::lock_guard lock(mutex_);
  given_up_ = true;
  moved_.notify_all();
}

}  // namespace lockstep::hdfs
