#include "common/components/sqlite/target.hpp"

#include <fcntl.h>

#include "common/component/companions.hpp"
#include "common/components/sqlite/database.hpp"
#include "common/components/sqlite/hold.hpp"
#include "common/components/sqlite/restore.hpp"
#include "common/components/sqlite/staging.hpp"
#include "common/os/durable.hpp"

namespace lockstep::sqlite {

using component::Context;
using component::DataSet;
using component::Place;
using component::StageRequest;
using component::Staging;
using component::Version;
using files::Area;

namespace {

class SqliteTarget final : public component::Target, public component::Companions {
 public:
  explicit SqliteTarget(os::Disk& disk) : disk_(disk) {}

  Result<void> check(const DataSet& target, std::uint64_t bytes_expected) override {
    LOCKSTEP_TRY(const std::string store, store_of(target));
    auto opened = disk_.open(os::kCwd, store, O_RDONLY | O_DIRECTORY);
    if (!opened) return os::write_error(opened.error(), "open", store);
    auto kind = disk_.file_system(opened->get());
    if (!kind) return os::write_error(kind.error(), "look at the file system of", store);
    if (kind->read_only) {
      return make_error(ErrorCode::wrong_filesystem, "the file system is mounted read-only", store);
    }
    return one_file::check_space(disk_, store, bytes_expected);
  }

  Result<std::unique_ptr<Staging>> stage(const Context& context,
                                         const StageRequest& request) override {
    const DataSet& set = request.target;
    LOCKSTEP_TRY(const std::string store, store_of(set));
    std::optional<Native> base;
    if (request.base) {
      LOCKSTEP_TRY(base, native_of(*request.base));
      if (!os::exists(disk_, base->file)) {
        return make_error(ErrorCode::version_missing, "the base is not in the store", base->file);
      }
    }
    LOCKSTEP_TRY(auto place,
                 one_file::prepare_staging(disk_, kHeld, context, request, store,
                                           files::existing_stores(disk_, set.place.location)));
    return std::unique_ptr<Staging>(std::make_unique<DatabaseStaging>(
        disk_, context, set.id, std::move(place), std::move(base)));
  }

  Result<std::optional<Version>> find(const Context& context, const DataSet& target) override {
    for (const auto& store : files::existing_stores(disk_, target.place.location)) {
      const std::string kept = one_file::hold_path(store, Area::versions, target.id, context.run);
      if (os::exists(disk_, kept)) {
        return std::optional<Version>(version_in(disk_, kept, target.id, context.run));
      }
    }
    return std::optional<Version>();
  }

  Result<std::vector<Version>> list(const DataSet& target) override {
    LOCKSTEP_TRY(std::vector<Version> out, holds_of(disk_, target, Area::versions));
    LOCKSTEP_TRY(std::vector<Version> staged, holds_of(disk_, target, Area::staging));
    for (auto& version : staged) out.push_back(std::move(version));
    return out;
  }

  std::string path_of(const Version& version) const override {
    auto native = native_of(version);
    return native ? native->file : std::string();
  }

  Result<void> check_version(const Version& version) override {
    LOCKSTEP_TRY(const Native native, native_of(version));
    if (!os::exists(disk_, native.file)) {
      return make_error(ErrorCode::version_missing, "the version is not in the store", native.file);
    }
    return check_integrity(disk_, native.file, {});
  }

  Result<RestoreResult> restore(const Context& context, const Version& version, const Place& place,
                                const std::string& path, bool replace) override {
    LOCKSTEP_TRY(const Native native, native_of(version));
    if (!path.empty()) {
      return make_error(ErrorCode::not_supported, "a database is restored as a whole", path,
                        "leave the path out");
    }
    return restore_to(disk_, context, native, place.location, replace);
  }

  bool is_within_reach(const DataSet& target, const Version& version) const override {
    const auto native = native_of(version);
    return native && files::may_link(disk_, native->hold, target.place.location);
  }

  std::vector<std::string> companions() const override { return {"-journal", "-wal", "-shm"}; }

  Result<void> drop(const Context& /*context*/, const Version& version) override {
    LOCKSTEP_TRY(const Native native, native_of(version));
    LOCKSTEP_CHECK(check_hold(native, version));
    return one_file::remove_hold(disk_, kHeld, native.hold);
  }

 private:
  Result<std::string> store_of(const DataSet& target) {
    LOCKSTEP_CHECK(check_location(target.place.location));
    return files::open_store(disk_, target.place.location);
  }

  os::Disk& disk_;
};

}  // namespace

std::unique_ptr<component::Target> make_target(const component::Surroundings& surroundings) {
  return std::make_unique<SqliteTarget>(surroundings.disk);
}

}  // namespace lockstep::sqlite
