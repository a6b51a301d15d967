#include "common/components/users/kept.hpp"

#include "common/components/one_file/reading.hpp"
#include "common/components/users/staging.hpp"
#include "common/users/state.hpp"

namespace lockstep::user_data {

using component::Context;
using component::DataSet;
using component::Entry;
using component::EntryCursor;
using component::EntryReader;
using component::Extent;
using component::Place;
using component::StageRequest;
using component::Staging;
using component::Version;
using files::Area;

namespace {

class DocumentSource final : public component::Source {
 public:
  DocumentSource(os::Disk& disk, Native native) : disk_(disk), native_(std::move(native)) {}

  // Whose the file is says nothing of the users in it, and is not carried: uid and gid are 0.
  Result<std::unique_ptr<EntryCursor>> entries() override {
    LOCKSTEP_TRY(const os::Fd file, one_file::open_version(disk_, native_.file()));
    auto seen = disk_.stat(file.get());
    if (!seen) {
      return from_errno(ErrorCode::source_read, seen.error().number, "look at", native_.file());
    }
    return one_file::only(one_file::entry_of(*seen));
  }

  Result<std::unique_ptr<EntryReader>> open(const Entry& entry) override {
    return one_file::read(disk_, kHeld, entry, native_.file());
  }

  bool unchanged(const Entry& before, const Entry& now) const override {
    return one_file::unchanged(before, now);
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
    return one_file::check_space(disk_, store, bytes_expected);
  }

  Result<std::unique_ptr<Staging>> stage(const Context& context,
                                         const StageRequest& request) override {
    const DataSet& set = request.target;
    LOCKSTEP_CHECK(check_location(set.place.location));
    std::optional<Native> base;
    if (request.base) {
      LOCKSTEP_TRY(base, native_of(*request.base));
      if (!os::exists(disk_, base->file())) {
        return make_error(ErrorCode::version_missing, "the base is not in the store", base->file());
      }
    }
    const std::string& store = set.place.location;
    LOCKSTEP_TRY(auto place,
                 one_file::prepare_staging(disk_, kHeld, context, request, store, {store}));
    return std::unique_ptr<Staging>(std::make_unique<DocumentStaging>(
        disk_, context, set.id, std::move(place), std::move(base)));
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
    return one_file::remove_hold(disk_, kHeld, native.hold);
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
