#include "common/components/one_file/reading.hpp"

#include <fcntl.h>

#include <cerrno>
#include <optional>
#include <utility>

namespace lockstep::one_file {

using component::Entry;
using component::EntryCursor;
using component::EntryKind;
using component::EntryReader;

namespace {

class OneEntry final : public EntryCursor {
 public:
  explicit OneEntry(Entry entry) : entry_(std::move(entry)) {}
  Result<std::optional<Entry>> next() override { return std::exchange(entry_, std::nullopt); }

 private:
  std::optional<Entry> entry_;
};

class FileReader final : public EntryReader {
 public:
  FileReader(os::Disk& disk, os::Fd file, std::string path)
      : disk_(disk), file_(std::move(file)), path_(std::move(path)) {}

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override {
    auto got = disk_.read_at(file_.get(), offset, into);
    if (!got) return from_errno(ErrorCode::source_read, got.error().number, "read", path_);
    return *got;
  }

 private:
  os::Disk& disk_;
  os::Fd file_;
  std::string path_;
};

}  // namespace

Result<os::Fd> open_version(os::Disk& disk, const std::string& path) {
  auto file = disk.open(os::kCwd, path, O_RDONLY);
  if (file) return std::move(*file);
  const ErrorCode code =
      file.error().number == ENOENT ? ErrorCode::version_missing : ErrorCode::source_read;
  return from_errno(code, file.error().number, "open the version", path);
}

Entry entry_of(const struct ::stat& seen) {
  Entry entry;
  entry.kind = EntryKind::regular;
  entry.mode = static_cast<std::uint32_t>(seen.st_mode) & 07777U;
  entry.size = static_cast<std::uint64_t>(seen.st_size);
  entry.native.inode = seen.st_ino;
  entry.native.ctime_ns = seen.st_ctim.tv_sec * 1'000'000'000 + seen.st_ctim.tv_nsec;
  return entry;
}

std::unique_ptr<EntryCursor> only(Entry entry) {
  return std::make_unique<OneEntry>(std::move(entry));
}

Result<std::unique_ptr<EntryReader>> read(os::Disk& disk, const Kind& kind, const Entry& entry,
                                          const std::string& path) {
  if (!entry.path.empty() || entry.kind != EntryKind::regular) {
    return make_error(ErrorCode::source_read, std::string(kind.set) + " has one entry, its root",
                      entry.path);
  }
  LOCKSTEP_TRY(os::Fd file, open_version(disk, path));
  return std::unique_ptr<EntryReader>(std::make_unique<FileReader>(disk, std::move(file), path));
}

bool unchanged(const Entry& before, const Entry& now) {
  return before.native.inode != 0 && before.native == now.native && before.size == now.size &&
         before.mode == now.mode && before.uid == now.uid && before.gid == now.gid;
}

}  // namespace lockstep::one_file
