// Durable: names and small files that are still there, whole, after a power loss.
//
// Paths are absolute or relative to the working directory. One writer a path at a time.
//
// Thread rule: any thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"

namespace lockstep::os {

// from_errno with the code that a failed change deserves: no-space, permission (EACCES, EPERM,
// EROFS), else target-write.
Error write_error(Errno error, std::string_view act, std::string where);

// "/a/b" for "/a/b/c"; "/" for "/a"; "." for "a".
std::string directory_of(const std::string& path);

// Whether anything has this name; a symbolic link counts as itself.
bool exists(Disk& disk, const std::string& path);

// Makes what was changed in a directory (names made, renamed, removed) last; the second with
// write_error's errors.
Sys<void> sync_directory(Disk& disk, const std::string& path);
Result<void> make_names_last(Disk& disk, const std::string& directory);

// mkdir -p: `mode` for the last (less the umask), `above` for those on the way to it that are
// missing; what is there is left as it is. When it returns, every name of the way that it made, or
// that an earlier call made and died over, lasts. Errors: write_error's.
Result<void> make_directories(Disk& disk, const std::string& path, mode_t mode, mode_t above);
Result<void> make_directories(Disk& disk, const std::string& path, mode_t mode = 0700);

struct DurableFile {
  mode_t mode = 0600;   // exactly this, whatever the umask
  bool replace = true;  // else a file that is there stays, and the error is place-not-empty
  // Runs when all but the rename is done; its error ends the writing.
  std::function<Result<void>()> last_check = {};
};

// Writes "<path>.part", syncs it, renames it to `path`, syncs the directory. At every instant, and
// after a power loss at every instant, `path` is what it was or the whole new content; what died
// leaves at most the part, which the next writing of `path` replaces. An error leaves no part, and
// `path` as it was (an error of the last sync: the new content, which may not last).
// Errors: write_error's, place-not-empty, last_check's.
Result<void> write_durably(Disk& disk, const std::string& path, std::string_view content,
                           const DurableFile& file);

// Removes the file; of one that is gone: success. Errors: write_error's.
Result<void> remove_durably(Disk& disk, const std::string& path);

}  // namespace lockstep::os
