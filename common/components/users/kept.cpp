#include "common/components/users/kept.hpp"

#include <fcntl.h>

#include <cerrno>

#include "common/components/users/staging.hpp"
#include "common/users/state.hpp"

namespace lockstep::user_data {

using component::Context;
using component::DataSet;
using component::Entry;
using component::EntryCursor;
using component::EntryKind;
using component::EntryReader;
using component::Extent;
using component::Place;
using component::StageRequest;
using component::Staging;
using component::Version;
using files::Area;

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

class DocumentSource final : public component::Source {
 public:
  DocumentSource(os::Disk& disk, Native native) : disk_(disk), native_(std::move(native)) {}

  // Whose the file is says nothing of the users in it, and is not carried: uid and gid are 0.
  Result<std::unique_ptr<EntryCursor>> entries() override {
    LOCKSTEP_TRY(const os::Fd file, open_file(disk_, native_.file()));
    auto seen = disk_.stat(file.get());
    if (!seen) {
      return from_errno(ErrorCode::source_read, seen.error().number, "look at", native_.file());
    }
    Entry entry;
    entry.kind = EntryKind::regular;
    entry.mode = static_cast<std::uint32_t>(seen->st_mode) & 07777U;
    entry.size = static_cast<std::uint64_t>(seen->st_size);
    entry.native.inode = seen->st_ino;
    entry.native.ctime_ns = seen->st_ctim.tv_sec * 1'000'000'000 + seen->st_ctim.tv_nsec;
    return std::unique_ptr<EntryCursor>(std::make_unique<OneEntry>(std::move(entry)));
  }

  Result<std::unique_ptr<EntryReader>> open(const Entry& entry) override {
    if (!entry.path.empty() || entry.kind != EntryKind::regular) {
      return make_error(ErrorCode::source_read, "user data has one entry, its root", entry.path);
    }
    LOCKSTEP_TRY(os::Fd file, open_file(disk_, native_.file()));
    return std::unique_ptr<EntryReader>(
        std::make_unique<FileReader>(disk_, std::move(file), native_.file()));
  }

  // Versions are files of their own: only the very file is certainly the same.
  bool unchanged(const Entry& before, const Entry& now) const override {
    return before.native.inode != 0 && before.native == now.native && before.size == now.size &&
           before.mode == now.mode;
  }

  Result<std::optional<std::vector<Extent>>> changed_extents(const Entry& /*entry*/,
                                                             const Version& /*base*/) override {
    return std::optional<std::vector<Extent>>();  // one record more moves all that follow it
  }

 private:
  os::Disk& disk_;
  Native native_;
};

class DocumentSources final : public component::Sources {
 public:
  explicit DocumentSources(os::Disk& disk) : disk_(disk) {}

  Result<std::unique_ptr<component::Source>> open(const Version& version) override {
    LOCKSTEP_TRY(Native native, native_of(version));
    if (!os::exists(disk_, native.file())) {
      return make_error(ErrorCode::version_missing, "the version is not in the store",
                        native.file());
    }
    return std::unique_ptr<component::Source>(
        std::make_unique<DocumentSource>(disk_, std::move(native)));
  }

 private:
  os::Disk& disk_;
};

class DocumentTarget final : public component::Target {
 public:
  explicit DocumentTarget(os::Disk& disk) : disk_(disk) {}

  Result<void> check(const DataSet& target, std::uint64_t bytes_expected) override {
    LOCKSTEP_CHECK(check_location(target.place.location));
    const std::string& store = target.place.location;
    LOCKSTEP_CHECK(os::make_directories(disk_, store));
    auto opened = disk_.open(os::kCwd, store, O_RDONLY | O_DIRECTORY);
    if (!opened) return os::write_error(opened.error(), "open", store);
    auto space = disk_.space(opened->get());
    if (!space) return os::write_error(space.error(), "look at the free space of", store);
    if (space->free_bytes >= bytes_expected) return {};
    return make_error(ErrorCode::no_space,
                      std::to_string(bytes_expected) + " bytes are to come, " +
                          std::to_string(space->free_bytes) + " are free",
                      store);
  }

  Result<std::unique_ptr<Staging>> stage(const Context& context,
                                         const StageRequest& request) override {
    const DataSet& set = request.target;
    LOCKSTEP_CHECK(check_location(set.place.location));
    const std::string hold =
        hold_path(set, Area::staging, context.run + "." + std::to_string(context.attempt));
    const std::string kept = hold_path(set, Area::versions, context.run);
    std::optional<Native> base;
    if (request.base) {
      LOCKSTEP_TRY(base, native_of(*request.base));
      if (!os::exists(disk_, base->file())) {
        return make_error(ErrorCode::version_missing, "the base is not in the store", base->file());
      }
    }
    const bool sealed = os::exists(disk_, kept);
    if (request.resume && !sealed && !os::exists(disk_, hold)) {
      return make_error(ErrorCode::resume_refused, "this attempt has staged nothing", hold);
    }
    if (!request.resume) LOCKSTEP_CHECK(remove_stagings(set, context.run));
    if (!sealed) LOCKSTEP_CHECK(os::make_directories(disk_, hold));
    return std::unique_ptr<Staging>(
        std::make_unique<DocumentStaging>(disk_, context, set.id, hold, kept, std::move(base)));
  }

  Result<std::optional<Version>> find(const Context& context, const DataSet& target) override {
    return find_hold(disk_, target, Area::versions, context.run);
  }

  Result<std::vector<Version>> list(const DataSet& target) override {
    LOCKSTEP_TRY(std::vector<Version> out, holds_of(disk_, target, Area::versions));
    LOCKSTEP_TRY(std::vector<Version> staged, holds_of(disk_, target, Area::staging));
    for (auto& version : staged) out.push_back(std::move(version));
    return out;
  }

  std::string path_of(const Version& version) const override {
    auto native = native_of(version);
    return native ? native->file() : std::string();
  }

  // What does not read as user data could not be applied.
  Result<void> check_version(const Version& version) override {
    LOCKSTEP_TRY(const Native native, native_of(version));
    LOCKSTEP_TRY(const std::string document, read_document(disk_, native));
    LOCKSTEP_CHECK(users::from_document(document));
    return {};
  }

  Result<RestoreResult> restore(const Context& /*context*/, const Version& version,
                                const Place& place, const std::string& path,
                                bool replace) override {
    LOCKSTEP_TRY(const Native native, native_of(version));
    if (!path.empty()) {
      return make_error(ErrorCode::not_supported, "user data is restored as a whole", path,
                        "leave the path out");
    }
    const std::string& to = place.location;
    LOCKSTEP_TRY(const std::string document, read_document(disk_, native));
    RestoreResult out{1, document.size(), {}};
    if (os::exists(disk_, to)) {
      if (!replace) {
        return make_error(ErrorCode::place_not_empty, "something is there already", to);
      }
      LOCKSTEP_TRY(out.moved_aside, move_aside(to, version.name));
    }
    LOCKSTEP_CHECK(os::make_directories(disk_, os::directory_of(to)));
    os::DurableFile only_new;
    only_new.replace = false;
    LOCKSTEP_CHECK(os::write_durably(disk_, to, document, only_new));
    return out;
  }

  Result<void> drop(const Context& /*context*/, const Version& version) override {
    LOCKSTEP_TRY(const Native native, native_of(version));
    return remove_hold(disk_, native.hold);
  }

 private:
  Result<std::string> move_aside(const std::string& path, const std::string& run) {
    std::string aside = path + ".aside-" + run;
    for (int n = 2; os::exists(disk_, aside); ++n) {
      aside = path + ".aside-" + run + "-" + std::to_string(n);
    }
    auto moved = disk_.rename(os::kCwd, path, os::kCwd, aside, false);
    if (!moved) return os::write_error(moved.error(), "move aside to", aside);
    return aside;
  }

  // What earlier attempts at this run left.
  Result<void> remove_stagings(const DataSet& target, const std::string& run) {
    LOCKSTEP_TRY(const std::vector<Version> staged, holds_of(disk_, target, Area::staging));
    for (const Version& version : staged) {
      if (version.name != run) continue;
      LOCKSTEP_TRY(const Native native, native_of(version));
      LOCKSTEP_CHECK(remove_hold(disk_, native.hold));
    }
    return {};
  }

  os::Disk& disk_;
};

}  // namespace

std::unique_ptr<component::Sources> make_sources(os::Disk& disk) {
  return std::make_unique<DocumentSources>(disk);
}

std::unique_ptr<component::Target> make_target(os::Disk& disk) {
  return std::make_unique<DocumentTarget>(disk);
}

}  // namespace lockstep::user_data
