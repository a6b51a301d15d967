#include "common/os/durable.hpp"

#include <fcntl.h>

#include <cerrno>
#include <span>

namespace lockstep::os {

namespace {

// The name of the directory `path` in the directory above it. Where that cannot be opened or synced
// (it may be searched only, or its file system syncs no directories) the whole file system is.
Result<void> keep_name(Disk& disk, const std::string& path) {
  if (sync_directory(disk, directory_of(path))) return {};
  auto own = disk.open(kCwd, path + "/.", O_RDONLY | O_DIRECTORY);
  if (!own) return write_error(own.error(), "open the directory", path);
  if (auto synced = disk.syncfs(own->get()); !synced) {
    return write_error(synced.error(), "sync the file system of", path);
  }
  return {};
}

// "/." after the path: a symbolic link to a directory is one.
bool is_directory(Disk& disk, const std::string& path) {
  return disk.stat_at(kCwd, path + "/.").has_value();
}

Result<void> write_part(Disk& disk, const std::string& part, std::string_view content,
                        mode_t mode) {
  // What one that died left may have another mode, or other names.
  if (auto gone = disk.unlink(kCwd, part); !gone && gone.error().number != ENOENT) {
    return write_error(gone.error(), "remove what was left of an earlier attempt", part);
  }
  auto file = disk.open(kCwd, part, O_WRONLY | O_CREAT | O_EXCL, mode);
  if (!file) return write_error(file.error(), "make the file", part);
  if (auto set = disk.change_mode(file->get(), mode); !set) {
    return write_error(set.error(), "set the mode of", part);
  }
  if (auto put = disk.write_at(file->get(), 0, std::as_bytes(std::span(content))); !put) {
    return write_error(put.error(), "write the file", part);
  }
  if (auto synced = disk.fsync(file->get()); !synced) {
    return write_error(synced.error(), "sync the file", part);
  }
  return {};
}

Result<void> put_in_place(Disk& disk, const std::string& part, const std::string& path,
                          bool replace) {
  auto moved = disk.rename(kCwd, part, kCwd, path, replace);
  if (moved) return {};
  if (!replace && moved.error().number == EEXIST) {
    return make_error(ErrorCode::place_not_empty, "a file of this name is there already", path);
  }
  return write_error(moved.error(), "rename the file into its place", path);
}

}  // namespace

Error write_error(Errno error, std::string_view act, std::string where) {
  const int number = error.number;
  ErrorCode code = ErrorCode::target_write;
  if (number == ENOSPC || number == EDQUOT) code = ErrorCode::no_space;
  if (number == EACCES || number == EPERM || number == EROFS) code = ErrorCode::permission;
  return from_errno(code, number, act, std::move(where));
}

bool exists(Disk& disk, const std::string& path) { return disk.stat_at(kCwd, path).has_value(); }

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Sys<void> sync_directory(Disk& disk, const std::string& path) {
  auto directory = disk.open(kCwd, path, O_RDONLY | O_DIRECTORY);
  // A link to a directory is opened by what it leads to.
  if (!directory && (directory.error().number == ELOOP || directory.error().number == ENOTDIR)) {
    directory = disk.open(kCwd, path + "/.", O_RDONLY | O_DIRECTORY);
  }
  if (!directory) return directory.error();
  return disk.fsync(directory->get());
}

Result<void> make_names_last(Disk& disk, const std::string& directory) {
  if (auto synced = sync_directory(disk, directory); !synced) {
    return write_error(synced.error(), "sync the directory", directory);
  }
  return {};
}

Result<void> make_directories(Disk& disk, const std::string& path, mode_t mode, mode_t above) {
  if (path.empty() || path == "." || path == "/") return {};
  if (is_directory(disk, path)) {
    // Whoever made it may have died before its name was synced: of a way that is made from above,
    // each name synced before the next is made, only the deepest can be so. What we may not sync
    // (a read-only file system, another's directory) we did not make.
    auto kept = keep_name(disk, path);
    if (!kept && kept.error().code == ErrorCode::permission) return {};
    return kept;
  }
  LOCKSTEP_CHECK(make_directories(disk, directory_of(path), above, above));
  auto made = disk.make_directory(kCwd, path, mode);
  if (!made && !(made.error().number == EEXIST && is_directory(disk, path))) {
    return write_error(made.error(), "make the directory", path);
  }
  return keep_name(disk, path);
}

Result<void> make_directories(Disk& disk, const std::string& path, mode_t mode) {
  return make_directories(disk, path, mode, mode);
}

Result<void> write_durably(Disk& disk, const std::string& path, std::string_view content,
                           const DurableFile& file) {
  const std::string part = path + ".part";
  auto written = write_part(disk, part, content, file.mode);
  if (written && file.last_check) written = file.last_check();
  if (written) written = put_in_place(disk, part, path, file.replace);
  if (!written) {
    // The first error is what went wrong; a part that stays is replaced by the next writing.
    (void)disk.unlink(kCwd, part);
    return written;
  }
  return make_names_last(disk, directory_of(path));
}

Result<void> remove_durably(Disk& disk, const std::string& path) {
  if (auto removed = disk.unlink(kCwd, path); !removed) {
    if (removed.error().number == ENOENT) return {};
    return write_error(removed.error(), "remove the file", path);
  }
  return make_names_last(disk, directory_of(path));
}

}  // namespace lockstep::os
