// Restore: a version, or an entry of it, put at a place where people see it.
#pragma once

#include <string>
#include <string_view>

#include "common/component/target.hpp"
#include "common/components/files/source.hpp"

namespace lockstep::files {

struct RestoreRequest {
  std::string location;  // absolute: the place of the set's root
  std::string path;      // the entry that is given back, "" for all
  bool replace = false;  // set aside what stands there; else only an empty directory may
};

// Errors: place-not-empty, target-overlaps (a place in a store), not-found (no such path),
// source-*, target-*, cancelled. On error nothing is left at the place, and what stood there
// stands.
Result<component::Target::RestoreResult> restore_tree(os::Disk& disk, FileSource& source,
                                                      const component::Context& context,
                                                      const RestoreRequest& request);

// The whole version as a writable snapshot of its subvolume, durable when it has its name at
// `location`. False where that is not to be had: the version is no subvolume, `location` lies on
// another file system, somebody else owns the subvolume, or something is there. Errors:
// target-overlaps, target-*.
Result<bool> snapshot_tree(os::Disk& disk, FileSource& source, const component::Context& context,
                           const std::string& location);

// True for a path one of whose components is a store's name.
bool lies_in_store(std::string_view path);

}  // namespace lockstep::files
