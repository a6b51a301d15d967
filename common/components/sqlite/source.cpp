#include "common/components/sqlite/source.hpp"

#include <fcntl.h>

#include <cerrno>

#include "common/components/sqlite/hold.hpp"
#include "common/components/sqlite/pages.hpp"
#include "common/components/sqlite/settle.hpp"
#include "common/os/durable.hpp"

namespace lockstep::sqlite {

using component::Entry;
using component::EntryCursor;
using component::EntryKind;
using component::EntryReader;
using component::Extent;
using component::Version;

namespace {

class OneEntry final : public EntryCursor {
 public:
  explicit OneEntry(Entry entry) : entry_(std::move(entry)) {}
  Result<std::optional<Entry>> next() override { return std::exchange(entry_, std::nullopt); }

 private:
  std::optional<Entry> entry_;
};

Result<os::Fd> open_file(os::Disk& disk, const std::string& path) {
  auto file = disk.open(os::kCwd, path, O_RDONLY);
  if (file) return std::move(*file);
  const ErrorCode code =
      file.error().number == ENOENT ? ErrorCode::version_missing : ErrorCode::source_read;
  return from_errno(code, file.error().number, "open the version", path);
}

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

class SqliteSource final : public component::Source {
 public:
  SqliteSource(os::Disk& disk, Native native) : disk_(disk), native_(std::move(native)) {}

  Result<std::unique_ptr<EntryCursor>> entries() override {
    LOCKSTEP_TRY(const os::Fd file, open_file(disk_, native_.file));
    auto seen = disk_.stat(file.get());
    if (!seen) {
      return from_errno(ErrorCode::source_read, seen.error().number, "look at", native_.file);
    }
    const Owner owner = native_.owner.value_or(owner_of(*seen));
    Entry entry;
    entry.kind = EntryKind::regular;
    entry.mode = owner.mode;
    entry.uid = owner.uid;
    entry.gid = owner.gid;
    entry.size = static_cast<std::uint64_t>(seen->st_size);
    entry.native.inode = seen->st_ino;
    entry.native.ctime_ns = seen->st_ctim.tv_sec * 1'000'000'000 + seen->st_ctim.tv_nsec;
    return std::unique_ptr<EntryCursor>(std::make_unique<OneEntry>(std::move(entry)));
  }

  Result<std::unique_ptr<EntryReader>> open(const Entry& entry) override {
    if (!entry.path.empty() || entry.kind != EntryKind::regular) {
      return make_error(ErrorCode::source_read, "a database has one entry, its root", entry.path);
    }
    LOCKSTEP_TRY(os::Fd file, open_file(disk_, native_.file));
    return std::unique_ptr<EntryReader>(
        std::make_unique<FileReader>(disk_, std::move(file), native_.file));
  }

  // Versions are files of their own: only the very file is certainly the same.
  bool unchanged(const Entry& before, const Entry& now) const override {
    return before.native.inode != 0 && before.native == now.native && before.size == now.size &&
           before.mode == now.mode && before.uid == now.uid && before.gid == now.gid;
  }

  Result<std::optional<std::vector<Extent>>> changed_extents(const Entry& entry,
                                                             const Version& base) override {
    if (!entry.path.empty()) return std::optional<std::vector<Extent>>();
    LOCKSTEP_TRY(const Native before, native_of(base));
    LOCKSTEP_TRY(const os::Fd now, open_file(disk_, native_.file));
    auto then = disk_.open(os::kCwd, before.file, O_RDONLY);
    if (!then) return std::optional<std::vector<Extent>>();  // no base any more: all is sent
    constexpr std::uint32_t kDefault = 4096;
    const std::uint32_t page_size = page_size_of(disk_, native_.file);
    LOCKSTEP_TRY(auto runs, differing_pages(disk_, now.get(), then->get(),
                                            page_size == 0 ? kDefault : page_size, native_.file));
    return std::optional<std::vector<Extent>>(std::move(runs));
  }

 private:
  os::Disk& disk_;
  Native native_;
};

class SqliteSources final : public component::Sources {
 public:
  explicit SqliteSources(os::Disk& disk) : disk_(disk) {}

  Result<std::unique_ptr<component::Source>> open(const Version& version) override {
    LOCKSTEP_TRY(Native native, native_of(version));
    // A durable pin whose agent died before it was settled.
    if (!os::exists(disk_, native.file) && native.owner) {
      LOCKSTEP_CHECK(check_hold(native, version));
      LOCKSTEP_CHECK(settle_clone(disk_, native.hold, *native.owner));
    }
    if (!os::exists(disk_, native.file)) {
      return make_error(ErrorCode::version_missing, "the version is not in the store", native.file);
    }
    return std::unique_ptr<component::Source>(
        std::make_unique<SqliteSource>(disk_, std::move(native)));
  }

 private:
  os::Disk& disk_;
};

}  // namespace

std::unique_ptr<component::Sources> make_sources(os::Disk& disk) {
  return std::make_unique<SqliteSources>(disk);
}

}  // namespace lockstep::sqlite
