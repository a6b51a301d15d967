#include "tests/support/disk_vfs.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

namespace lockstep::test {

namespace {

using os::Disk;
using os::Fd;

constexpr int kSectorSize = 4096;

// As SQLite allocates it: sqlite3_file first.
struct File {
  sqlite3_file base;
  Disk* disk;
  Fd fd;
  std::string directory;  // to be synced with the first sync; empty: nothing to do
};

File& file_of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }

Disk& disk_of(sqlite3_vfs* vfs) { return *static_cast<Disk*>(vfs->pAppData); }

sqlite3_vfs* kernel_vfs() { return sqlite3_vfs_find("unix"); }

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

bool sync_directory(Disk& disk, const std::string& directory) {
  const auto fd = disk.open(os::kCwd, directory, O_RDONLY | O_DIRECTORY);
  return fd && disk.fsync(fd->get());
}

int close_file(sqlite3_file* file) {
  file_of(file).~File();
  return SQLITE_OK;
}

int read_file(sqlite3_file* file, void* into, int amount, sqlite3_int64 offset) {
  const std::span<std::byte> bytes{static_cast<std::byte*>(into), static_cast<std::size_t>(amount)};
  const auto got = file_of(file).disk->read_at(file_of(file).fd.get(),
                                               static_cast<std::uint64_t>(offset), bytes);
  if (!got) return SQLITE_IOERR_READ;
  if (*got == bytes.size()) return SQLITE_OK;
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(*got), bytes.end(), std::byte{0});
  return SQLITE_IOERR_SHORT_READ;
}

int write_file(sqlite3_file* file, const void* from, int amount, sqlite3_int64 offset) {
  const std::span<const std::byte> bytes{static_cast<const std::byte*>(from),
                                         static_cast<std::size_t>(amount)};
  const auto put = file_of(file).disk->write_at(file_of(file).fd.get(),
                                                static_cast<std::uint64_t>(offset), bytes);
  if (put) return SQLITE_OK;
  return put.error().number == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  File& own = file_of(file);
  return own.disk->truncate(own.fd.get(), static_cast<std::uint64_t>(size)) ? SQLITE_OK
                                                                            : SQLITE_IOERR_TRUNCATE;
}

int sync_file(sqlite3_file* file, int flags) {
  File& own = file_of(file);
  const bool data_only = (flags & SQLITE_SYNC_DATAONLY) != 0;
  const auto synced = data_only ? own.disk->fdatasync(own.fd.get()) : own.disk->fsync(own.fd.get());
  if (!synced) return SQLITE_IOERR_FSYNC;
  if (own.directory.empty()) return SQLITE_OK;
  if (!sync_directory(*own.disk, own.directory)) return SQLITE_IOERR_DIR_FSYNC;
  own.directory.clear();
  return SQLITE_OK;
}

int size_of_file(sqlite3_file* file, sqlite3_int64* size) {
  const auto info = file_of(file).disk->stat(file_of(file).fd.get());
  if (!info) return SQLITE_IOERR_FSTAT;
  *size = info->st_size;
  return SQLITE_OK;
}

int lock_file(sqlite3_file*, int) { return SQLITE_OK; }

int check_lock(sqlite3_file*, int* reserved) {
  *reserved = 0;
  return SQLITE_OK;
}

int control_file(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }

int sector_size(sqlite3_file*) { return kSectorSize; }

int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

// Version 1: without shared memory, so that a WAL needs EXCLUSIVE locking mode.
const sqlite3_io_methods kMethods = {
    1,         close_file, read_file,  write_file,   truncate_file, sync_file,       size_of_file,
    lock_file, lock_file,  check_lock, control_file, sector_size,   characteristics, nullptr,
    nullptr,   nullptr,    nullptr,    nullptr,      nullptr};

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  file->pMethods = nullptr;
  if (name == nullptr) return kernel_vfs()->xOpen(kernel_vfs(), name, file, flags, out_flags);
  Disk& disk = disk_of(vfs);
  const bool writable = (flags & SQLITE_OPEN_READWRITE) != 0;
  const bool may_make = (flags & SQLITE_OPEN_CREATE) != 0;
  const bool there = disk.stat_at(os::kCwd, name).has_value();
  int how = writable ? O_RDWR : O_RDONLY;
  // Only where it makes one: what is there is opened without a change to the disk.
  if (may_make && !there) how |= O_CREAT;
  if ((flags & SQLITE_OPEN_EXCLUSIVE) != 0) how |= O_EXCL;
  auto fd = disk.open(os::kCwd, name, how, 0600);
  if (!fd) return SQLITE_CANTOPEN;
  const bool log =
      (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL)) != 0;
  new (file) File{{&kMethods}, &disk, std::move(*fd), !there && log ? directory_of(name) : ""};
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int remove_file(sqlite3_vfs* vfs, const char* name, int sync) {
  Disk& disk = disk_of(vfs);
  if (const auto gone = disk.unlink(os::kCwd, name); !gone) {
    return gone.error().number == ENOENT ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
  }
  if (sync != 0 && !sync_directory(disk, directory_of(name))) return SQLITE_IOERR_DIR_FSYNC;
  return SQLITE_OK;
}

int look_at(sqlite3_vfs* vfs, const char* name, int how, int* result) {
  const auto info = disk_of(vfs).stat_at(os::kCwd, name);
  // As the kernel's: an empty file does not count as existing.
  *result = info && (how != SQLITE_ACCESS_EXISTS || info->st_size > 0) ? 1 : 0;
  return SQLITE_OK;
}

int full_name(sqlite3_vfs*, const char* name, int size, char* out) {
  return kernel_vfs()->xFullPathname(kernel_vfs(), name, size, out);
}

int randomness(sqlite3_vfs*, int amount, char* out) {
  return kernel_vfs()->xRandomness(kernel_vfs(), amount, out);
}

int sleep_for(sqlite3_vfs*, int microseconds) {
  return kernel_vfs()->xSleep(kernel_vfs(), microseconds);
}

int current_time(sqlite3_vfs*, double* out) {
  return kernel_vfs()->xCurrentTime(kernel_vfs(), out);
}

int last_error(sqlite3_vfs*, int, char*) { return 0; }

}  // namespace

DiskVfs::DiskVfs(os::Disk& disk, std::string name) : disk_(disk), name_(std::move(name)) {
  sqlite3_initialize();
  vfs_.iVersion = 1;
  vfs_.szOsFile = std::max(static_cast<int>(sizeof(File)), kernel_vfs()->szOsFile);
  vfs_.mxPathname = kernel_vfs()->mxPathname;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = &disk_;
  vfs_.xOpen = open_file;
  vfs_.xDelete = remove_file;
  vfs_.xAccess = look_at;
  vfs_.xFullPathname = full_name;
  vfs_.xRandomness = randomness;
  vfs_.xSleep = sleep_for;
  vfs_.xCurrentTime = current_time;
  vfs_.xGetLastError = last_error;
  if (sqlite3_vfs_register(&vfs_, 0) != SQLITE_OK) std::abort();  // a mistake in the test
}

DiskVfs::~DiskVfs() { sqlite3_vfs_unregister(&vfs_); }

}  // namespace lockstep::test
