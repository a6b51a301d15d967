// Setting what Lockstep carries of one entry, in the order in which one does not undo the other:
// owner (clears set-id bits and capabilities), mode, extended attributes with ACLs and
// capabilities, times.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>

#include "common/component/entry.hpp"
#include "common/components/files/side.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

// What is known of the thing before: a call is left out where it would change nothing.
struct Before {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0;    // & 07777
  bool bare = false;  // it was just made, and has no carried extended attribute
  std::optional<std::int64_t> mtime_ns = {};  // where nothing can have moved it since
};

// A regular file or directory. `where` names it in errors.
Result<void> set_metadata(os::Disk& disk, int fd, const component::Entry& entry,
                          const Before& before, const std::string& where);

// A symbolic link or special file that was just made as `name` in `directory`.
Result<void> set_metadata_at(os::Disk& disk, int directory, const std::string& name,
                             const component::Entry& entry, const std::string& where);

}  // namespace lockstep::files
