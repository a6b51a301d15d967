// A hold: the directory of the store in which one version of a database lies.
//
//   <store>/pins/<service>/<set>/<run>/       database            the version, once settled
//                                             clone, clone-wal    a pin that is not settled yet
//                                             copying, probe      what a crash may leave
//   <store>/versions/<service>/<set>/<run>/   database
//   <store>/staging/<service>/<set>/<run>.<attempt>/ database
// The store is that of common/components/files/store.hpp: beside the database. What holds of all
// kinds have in common is in common/components/one_file/hold.hpp.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/component/entry.hpp"
#include "common/components/files/store.hpp"
#include "common/components/one_file/hold.hpp"
#include "common/os/disk.hpp"

namespace lockstep::sqlite {

inline constexpr const char* kKind = "sqlite";
inline constexpr const char* kDatabase = "database";
inline constexpr const char* kClone = "clone";
inline constexpr const char* kCopying = "copying";
inline constexpr const char* kProbe = "probe";
inline constexpr one_file::Kind kHeld{"a database", kDatabase, "sqlite.seal.rename",
                                      "sqlite.seal.renamed", "sqlite.hold.emptied"};

// Whose the database is; what of its metadata is carried.
struct Owner {
  std::uint32_t mode = 0;  // & 07777
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};
Owner owner_of(const struct ::stat& seen);

// Version::native, as compact JSON.
struct Native {
  std::string file;             // the version itself
  std::string hold;             // what drop() removes
  std::uint32_t page_size = 0;  // 0: an empty database, or not looked at
  std::optional<Owner> owner;   // where the file could not be given to its owner
};
std::string to_text(const Native& native);
// Error: version-missing (not one of ours).
Result<Native> native_of(const component::Version& version);

// What a location must be to be one of ours: absolute, UTF-8 (it stands in JSON), not in a store.
// Errors: set-missing, not-supported, target-overlaps.
Result<void> check_location(const std::string& location);

// Before anything is removed: the hold must lie in a store and be named for this version. Error:
// version-missing.
Result<void> check_hold(const Native& native, const component::Version& version);

// The version that lies, or is half made, in `hold`.
component::Version version_in(os::Disk& disk, const std::string& hold, const component::SetId& id,
                              const std::string& name);

// All holds of a set in an area, wherever its store may be. Error: source-read.
Result<std::vector<component::Version>> holds_of(os::Disk& disk, const component::DataSet& set,
                                                 files::Area area);

// Gives the file its mode and owner and syncs it. With `owner_if_allowed` one that may not give
// files away keeps the owner that it has. Errors: permission, target-write, no-space.
Result<void> hand_over(os::Disk& disk, const std::string& path, const Owner& owner,
                       bool owner_if_allowed);

// The page size in a database's header; 0 where there is none, or an impossible one.
std::uint32_t page_size_of(os::Disk& disk, const std::string& path);

}  // namespace lockstep::sqlite
