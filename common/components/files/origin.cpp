#include "common/components/files/origin.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <span>

#include "common/component/entry.hpp"
#include "common/components/files/store.hpp"
#include "common/os/durable.hpp"

namespace lockstep::files {

namespace {

constexpr std::string_view kHeader = "lockstep-origin/1\n";
constexpr std::size_t kBuffer = 64 * 1024;
constexpr std::size_t kFixedBytes = 8 + 8 + 4;  // after the path
constexpr std::uint32_t kLongestPath = 64 * 1024;

template <class T>
void put(std::string& into, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    into.push_back(static_cast<char>((static_cast<std::uint64_t>(value) >> (8 * i)) & 0xff));
  }
}

std::uint64_t take(const std::string& from, std::size_t at, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(from[at + i])) << (8 * i);
  }
  return value;
}

}  // namespace

std::string origin_path(const std::string& hold) { return hold + ".origin"; }

OriginWriter::OriginWriter(os::Disk& disk, std::string path, os::Fd file)
    : disk_(&disk), path_(std::move(path)), file_(std::move(file)), buffer_(kHeader) {}

Result<OriginWriter> OriginWriter::create(os::Disk& disk, const std::string& path) {
  auto file = disk.open(os::kCwd, path + ".part", O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (!file) return os::write_error(file.error(), "make", path);
  return OriginWriter(disk, path, std::move(*file));
}

Result<void> OriginWriter::add(const Origin& origin) {
  put(buffer_, static_cast<std::uint32_t>(origin.path.size()));
  buffer_ += origin.path;
  put(buffer_, origin.inode);
  put(buffer_, origin.ctime_ns);
  put(buffer_, origin.links);
  return buffer_.size() < kBuffer ? Result<void>{} : flush();
}

Result<void> OriginWriter::flush() {
  const auto data = std::as_bytes(std::span(buffer_));
  if (auto written = disk_->write_at(file_.get(), offset_, data); !written) {
    return os::write_error(written.error(), "write", path_);
  }
  offset_ += buffer_.size();
  buffer_.clear();
  return {};
}

Result<void> OriginWriter::finish() {
  LOCKSTEP_CHECK(flush());
  file_.reset();
  if (auto renamed = disk_->rename(os::kCwd, path_ + ".part", os::kCwd, path_); !renamed) {
    return os::write_error(renamed.error(), "rename to", path_);
  }
  return {};
}

OriginReader::OriginReader(os::Disk& disk, std::string path, os::Fd file)
    : disk_(&disk), path_(std::move(path)), file_(std::move(file)) {}

Result<OriginReader> OriginReader::open(os::Disk& disk, const std::string& path) {
  auto file = disk.open(os::kCwd, path, O_RDONLY);
  if (!file) {
    return from_errno(ErrorCode::version_missing, file.error().number, "open", path);
  }
  OriginReader reader(disk, path, std::move(*file));
  LOCKSTEP_TRY(const bool whole, reader.fill(kHeader.size()));
  if (!whole || reader.buffer_.compare(0, kHeader.size(), kHeader) != 0) {
    return make_error(ErrorCode::version_missing, "this is no record of origins", path);
  }
  reader.position_ = kHeader.size();
  return reader;
}

// Makes `bytes` available from position_ on; false at the end of the file.
Result<bool> OriginReader::fill(std::size_t bytes) {
  if (buffer_.size() - position_ >= bytes) return true;
  buffer_.erase(0, position_);
  position_ = 0;
  while (buffer_.size() < bytes) {
    const std::size_t had = buffer_.size();
    buffer_.resize(had + kBuffer);
    auto count = disk_->read_at(file_.get(), offset_,
                                std::as_writable_bytes(std::span(buffer_).subspan(had)));
    if (!count) return from_errno(ErrorCode::source_read, count.error().number, "read", path_);
    buffer_.resize(had + *count);
    offset_ += *count;
    if (*count == 0) return false;
  }
  return true;
}

Result<std::optional<Origin>> OriginReader::next() {
  LOCKSTEP_TRY(const bool some, fill(4));
  if (!some) {
    if (buffer_.size() == position_) return std::optional<Origin>{};
    return make_error(ErrorCode::source_read, "the record of origins is cut off", path_);
  }
  const auto length = static_cast<std::uint32_t>(take(buffer_, position_, 4));
  if (length > kLongestPath) {
    return make_error(ErrorCode::source_read, "the record of origins is damaged", path_);
  }
  LOCKSTEP_TRY(const bool whole, fill(4 + length + kFixedBytes));
  if (!whole) return make_error(ErrorCode::source_read, "the record of origins is cut off", path_);
  Origin origin;
  origin.path = buffer_.substr(position_ + 4, length);
  std::size_t at = position_ + 4 + length;
  origin.inode = take(buffer_, at, 8);
  origin.ctime_ns = static_cast<std::int64_t>(take(buffer_, at + 8, 8));
  origin.links = static_cast<std::uint32_t>(take(buffer_, at + 16, 4));
  position_ = at + kFixedBytes;
  return std::optional<Origin>(std::move(origin));
}

Result<std::optional<Origin>> OriginReader::find(const std::string& path) {
  while (true) {
    if (!ahead_) {
      LOCKSTEP_TRY(ahead_, next());
      if (!ahead_) return std::optional<Origin>{};
    }
    if (ahead_->path == path) return std::exchange(ahead_, std::nullopt);
    if (component::path_less(path, ahead_->path)) return std::optional<Origin>{};
    ahead_.reset();
  }
}

}  // namespace lockstep::files
