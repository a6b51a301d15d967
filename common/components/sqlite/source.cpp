#include "common/components/sqlite/source.hpp"

#include <fcntl.h>

#include "common/components/one_file/reading.hpp"
#include "common/components/sqlite/hold.hpp"
#include "common/components/sqlite/pages.hpp"
#include "common/components/sqlite/settle.hpp"
#include "common/os/durable.hpp"

namespace lockstep::sqlite {

using component::Entry;
using component::EntryCursor;
using component::EntryReader;
using component::Extent;
using component::Version;

namespace {

class SqliteSource final : public component::Source {
 public:
  SqliteSource(os::Disk& disk, Native native) : disk_(disk), native_(std::move(native)) {}

  Result<std::unique_ptr<EntryCursor>> entries() override {
    LOCKSTEP_TRY(const os::Fd file, one_file::open_version(disk_, native_.file));
    auto seen = disk_.stat(file.get());
    if (!seen) {
      return from_errno(ErrorCode::source_read, seen.error().number, "look at", native_.file);
    }
    const Owner owner = native_.owner.value_or(owner_of(*seen));
    Entry entry = one_file::entry_of(*seen);
    entry.mode = owner.mode;
    entry.uid = owner.uid;
    entry.gid = owner.gid;
    return one_file::only(std::move(entry));
  }

  Result<std::unique_ptr<EntryReader>> open(const Entry& entry) override {
    return one_file::read(disk_, kHeld, entry, native_.file);
  }

  bool unchanged(const Entry& before, const Entry& now) const override {
    return one_file::unchanged(before, now);
  }

  Result<std::optional<std::vector<Extent>>> changed_extents(const Entry& entry,
                                                             const Version& base) override {
    if (!entry.path.empty()) return std::optional<std::vector<Extent>>();
    LOCKSTEP_TRY(const Native before, native_of(base));
    LOCKSTEP_TRY(const os::Fd now, one_file::open_version(disk_, native_.file));
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
