// Reading a version that is one regular file: its only entry is the root.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <string>

#include "common/component/source.hpp"
#include "common/components/one_file/hold.hpp"
#include "common/os/disk.hpp"

namespace lockstep::one_file {

// Errors: version-missing, source-read.
Result<os::Fd> open_version(os::Disk& disk, const std::string& path);

// The entry of a file that looks so: size, permissions, and what tells it from any other file. Its
// owner is left to the component.
component::Entry entry_of(const struct ::stat& seen);

// A cursor that gives this entry and ends.
std::unique_ptr<component::EntryCursor> only(component::Entry entry);

// Error: source-read (the entry is not the root, or no file), open_version's.
Result<std::unique_ptr<component::EntryReader>> read(os::Disk& disk, const Kind& kind,
                                                     const component::Entry& entry,
                                                     const std::string& path);

// Versions are files of their own: only the very file is certainly the same.
bool unchanged(const component::Entry& before, const component::Entry& now);

}  // namespace lockstep::one_file
