// Disk: the file system calls of this project, behind one seam, so that a test can put a disk in
// their place that loses what was not synced, is full, or fails a read in the middle of a file.
//
// Each member is the system call of its name (section 2 or 3 of the manual), with these habits:
// paths are relative to a directory descriptor (`kCwd` for the working directory), symbolic links
// are never followed in the last component, EINTR is retried, descriptors are O_CLOEXEC. The error
// is errno; the caller adds what it was doing (from_errno).
//
// Thread rule: any thread, as the calls themselves.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/error/result.hpp"
#include "common/os/fd.hpp"

namespace lockstep::os {

// errno, as a type of its own so that it cannot be mistaken for a value.
struct Errno {
  int number = 0;
};
template <class T>
using Sys = Expected<T, Errno>;

inline constexpr int kCwd = -100;  // AT_FDCWD

struct Times {
  std::int64_t mtime_ns = 0;  // atime is set to the same
};

struct DirectoryEntry {
  std::string name;
  unsigned char type = 0;  // DT_*; DT_UNKNOWN is possible
  std::uint64_t inode = 0;
};

// A directory being read. `next` gives nothing at the end; "." and ".." are left out.
class DirectoryStream {
 public:
  virtual ~DirectoryStream() = default;
  virtual Sys<std::optional<DirectoryEntry>> next() = 0;
};

struct SpaceInfo {
  std::uint64_t free_bytes = 0;  // to an unprivileged user
  std::uint64_t total_bytes = 0;
  std::uint64_t free_inodes = 0;
  std::uint64_t total_inodes = 0;  // 0: the file system has no limit
};

struct FileSystemInfo {
  long magic = 0;    // statfs(2): BTRFS_SUPER_MAGIC, ...
  std::string name;  // "btrfs", "xfs", "ext4", "tmpfs", ...; else its magic in hexadecimal
  bool read_only = false;
};

// One extent as the file system maps it (FIEMAP, linux/fiemap.h).
struct MappedExtent {
  std::uint64_t logical = 0;
  std::uint64_t physical = 0;
  std::uint64_t length = 0;
  bool known = false;  // physical is final: not delayed, inline or encoded otherwise
  bool unwritten = false;
};

// linux/btrfs.h: what identifies a subvolume for ever, wherever it is moved.
struct SubvolumeInfo {
  std::string uuid;         // hexadecimal
  std::string parent_uuid;  // of the subvolume that it is a snapshot of; zeros if none
  std::uint64_t made =
      0;  // the transaction of its making (of a snapshot: what it shows is of then)
  std::uint64_t changed = 0;  // that of its last change
  std::uint64_t id = 0;
  bool read_only = false;
};

class Disk {
 public:
  virtual ~Disk() = default;

  // Opening. `flags` are O_*; O_CLOEXEC | O_NOFOLLOW are added.
  virtual Sys<Fd> open(int directory, const std::string& path, int flags, mode_t mode = 0) = 0;
  // openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS: never leaves
  // `directory`, whatever an enemy put there. Where the kernel lacks it: ENOSYS.
  virtual Sys<Fd> open_beneath(int directory, const std::string& path, int flags,
                               mode_t mode = 0) = 0;
  virtual Sys<std::unique_ptr<DirectoryStream>> read_directory(int descriptor) = 0;

  // Content.
  virtual Sys<std::size_t> read_at(int fd, std::uint64_t offset, std::span<std::byte> into) = 0;
  virtual Sys<void> write_at(int fd, std::uint64_t offset, std::span<const std::byte> data) = 0;
  // What was read of the file need not stay in memory: posix_fadvise(2), POSIX_FADV_DONTNEED. Only
  // a hint.
  virtual void forget_read(int fd) = 0;
  virtual Sys<void> truncate(int fd, std::uint64_t size) = 0;
  virtual Sys<void> punch_hole(int fd, std::uint64_t offset, std::uint64_t length) = 0;
  // lseek(2) SEEK_DATA and SEEK_HOLE; nothing where there is no further one.
  virtual Sys<std::optional<std::uint64_t>> seek_data(int fd, std::uint64_t from) = 0;
  virtual Sys<std::optional<std::uint64_t>> seek_hole(int fd, std::uint64_t from) = 0;
  virtual Sys<std::vector<MappedExtent>> map_extents(int fd, bool sync_first) = 0;
  virtual Sys<void> reflink(int to_fd, int from_fd) = 0;  // FICLONE
  virtual Sys<std::size_t> copy_range(int from_fd, std::uint64_t from, int to_fd, std::uint64_t to,
                                      std::size_t length) = 0;  // copy_file_range

  // Names.
  virtual Sys<void> make_directory(int directory, const std::string& path, mode_t mode) = 0;
  virtual Sys<void> rename(int from_directory, const std::string& from, int to_directory,
                           const std::string& to, bool replace = true) = 0;
  virtual Sys<void> exchange(int directory_a, const std::string& a, int directory_b,
                             const std::string& b) = 0;  // RENAME_EXCHANGE
  virtual Sys<void> link(int from_directory, const std::string& from, int to_directory,
                         const std::string& to) = 0;
  virtual Sys<void> symlink(const std::string& text, int directory, const std::string& path) = 0;
  virtual Sys<std::string> read_link(int directory, const std::string& path) = 0;
  virtual Sys<void> make_node(int directory, const std::string& path, mode_t mode,
                              dev_t device) = 0;
  virtual Sys<void> unlink(int directory, const std::string& path) = 0;
  virtual Sys<void> remove_directory(int directory, const std::string& path) = 0;

  // Metadata. The *_at forms do not follow symbolic links.
  virtual Sys<struct ::stat> stat(int fd) = 0;
  virtual Sys<struct ::stat> stat_at(int directory, const std::string& path) = 0;
  virtual Sys<void> change_mode(int fd, mode_t mode) = 0;
  virtual Sys<void> change_mode_at(int directory, const std::string& path, mode_t mode) = 0;
  virtual Sys<void> change_owner(int fd, uid_t uid, gid_t gid) = 0;
  virtual Sys<void> change_owner_at(int directory, const std::string& path, uid_t uid,
                                    gid_t gid) = 0;
  virtual Sys<void> set_times(int fd, Times times) = 0;
  virtual Sys<void> set_times_at(int directory, const std::string& path, Times times) = 0;
  // Extended attributes, of a descriptor or (for what cannot be opened) of a path through
  // /proc/self/fd/<directory>/<path>. EOPNOTSUPP: the file system has none.
  virtual Sys<std::vector<std::string>> list_xattrs(int fd) = 0;
  virtual Sys<std::string> get_xattr(int fd, const std::string& name) = 0;
  virtual Sys<void> set_xattr(int fd, const std::string& name, std::string_view value) = 0;
  virtual Sys<void> remove_xattr(int fd, const std::string& name) = 0;
  virtual Sys<std::vector<std::string>> list_xattrs_at(int directory, const std::string& path) = 0;
  virtual Sys<std::string> get_xattr_at(int directory, const std::string& path,
                                        const std::string& name) = 0;
  virtual Sys<void> set_xattr_at(int directory, const std::string& path, const std::string& name,
                                 std::string_view value) = 0;

  // Durability.
  virtual Sys<void> fsync(int fd) = 0;
  virtual Sys<void> fdatasync(int fd) = 0;
  virtual Sys<void> syncfs(int fd) = 0;

  // File systems.
  virtual Sys<FileSystemInfo> file_system(int fd) = 0;
  virtual Sys<SpaceInfo> space(int fd) = 0;
  // One id for all that can be reflinked into each other: the file system's UUID on btrfs and XFS,
  // else made of the device number. Two subvolumes of one btrfs have the same.
  virtual Sys<std::string> file_system_id(int fd) = 0;

  // btrfs (ioctl_btrfs; BTRFS_IOC_SUBVOL_CREATE_V2, _SNAP_CREATE_V2, _SNAP_DESTROY,
  // _SUBVOL_SETFLAGS, _GET_SUBVOL_INFO). `directory` is where the name is made or removed.
  virtual Sys<void> create_subvolume(int directory, const std::string& name) = 0;
  virtual Sys<void> snapshot_subvolume(int directory, const std::string& name, int source_fd,
                                       bool read_only) = 0;
  virtual Sys<void> destroy_subvolume(int directory, const std::string& name) = 0;
  virtual Sys<void> set_subvolume_read_only(int fd, bool read_only) = 0;
  virtual Sys<SubvolumeInfo> subvolume_info(int fd) = 0;
};

// The kernel's own.
std::unique_ptr<Disk> make_kernel_disk();

// A subvolume's root has this inode number (BTRFS_FIRST_FREE_OBJECTID).
inline constexpr std::uint64_t kSubvolumeRootInode = 256;

}  // namespace lockstep::os
