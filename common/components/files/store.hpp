// The store: where versions of a data set of files lie, beside the set and hidden from it.
//
// `<parent of the set's place>/.lockstep` where that is on the set's file system and may be
// written, else `<the set's place>/.lockstep`. Below it, by what they are:
//   pins/<service>/<set>/<run>       what the primary pinned     (+ <run>.origin, see origin.hpp)
//   versions/<service>/<set>/<run>   what the secondary keeps
//   staging/<service>/<set>/<run>... what is being received
// The entry ".lockstep" at the top of a data set is never part of it (is_store).
//
// Directories are made with mode 0700: what lies in them keeps its own modes, and nobody but the
// agents gets that far.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

inline constexpr std::string_view kStoreName = ".lockstep";

enum class Area { pins, versions, staging };
const char* area_name(Area area);

// True for the path, relative to a data set's root, of a store and of what lies in one.
bool is_store(std::string_view path);

// The two places at which the store of a set at `location` (absolute) may be: beside, then inside.
std::vector<std::string> store_candidates(const std::string& location);

// The store of the set at `location`, made where it is missing. A location that does not exist (a
// secondary's, before its first promotion) has its store beside it, and its parents are made.
// Errors: permission, no-space, set-missing (`location` is not absolute), target-write.
Result<std::string> open_store(os::Disk& disk, const std::string& location);

// Those of the candidates that exist: where versions made earlier are looked for.
std::vector<std::string> existing_stores(os::Disk& disk, const std::string& location);

// Whether what is made in the store of the set at `location` can share a file with `hold`, a
// version kept there or in another store: links go nowhere beyond a file system, or a subvolume.
bool may_link(os::Disk& disk, const std::string& hold, const std::string& location);

// "<store>/<area>/<service>/<set>"
std::string set_directory(const std::string& store, Area area, const component::SetId& id);

// "c" for "/a/b/c".
std::string name_of(const std::string& path);

}  // namespace lockstep::files
