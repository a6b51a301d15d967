// A hold: the directory of the store in which one version of a cluster's user data lies.
//
//   <store>/pins/<service>/<set>/<run>/               user-data.jsonl
//   <store>/versions/<service>/<set>/<run>/           user-data.jsonl
//   <store>/staging/<service>/<set>/<run>.<attempt>/  user-data.jsonl
// The store is the `.lockstep` of the cluster's root, which is the set's location. Directories have
// mode 0700 and documents 0600: password hashes stand in them. What holds of all kinds have in
// common is in common/components/one_file/hold.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/component/user_capture.hpp"
#include "common/components/one_file/hold.hpp"
#include "common/os/disk.hpp"

namespace lockstep::user_data {

inline constexpr const char* kDocument = "user-data.jsonl";
inline constexpr one_file::Kind kHeld{"user data", kDocument, "users.seal.rename",
                                      "users.seal.renamed", "users.hold.emptied"};
// What a document may be at most, in bytes: it is held in memory where it is applied.
inline constexpr std::uint64_t kMostBytes = 64ULL << 20;

// Version::native, as compact JSON.
struct Native {
  std::string hold;                               // absolute
  std::optional<component::UserCapture> capture;  // of a settled pin
  std::string file() const { return hold + "/" + kDocument; }
};
std::string to_text(const Native& native);
// Error: version-missing (not one of ours, or not the place of the version named).
Result<Native> native_of(const component::Version& version);

// Where a hold of that name is, or would be.
std::string hold_path(const component::DataSet& set, files::Area area, const std::string& name);
component::Version version_in(const std::string& hold, const component::SetId& id,
                              const std::string& name);

// What there is of that name in an area, complete or not.
std::optional<component::Version> find_hold(os::Disk& disk, const component::DataSet& set,
                                            files::Area area, const std::string& name);
// All of a set. Error: source-read.
Result<std::vector<component::Version>> holds_of(os::Disk& disk, const component::DataSet& set,
                                                 files::Area area);

// The document of a version. Errors: version-missing, source-read.
Result<std::string> read_document(os::Disk& disk, const Native& native);

// The location must be the store of a root. Error: set-missing.
Result<void> check_location(const std::string& location);

}  // namespace lockstep::user_data
