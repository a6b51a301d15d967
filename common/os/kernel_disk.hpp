// KernelDisk: the Disk that is the kernel's own. Private to common/os; others see make_kernel_disk.
#pragma once

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/os/disk.hpp"

namespace lockstep::os {

// Repeats a call that gives -1 and EINTR.
template <class Call>
auto retried(Call call) {
  decltype(call()) result = 0;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

// For calls that tell success by 0.
template <class Call>
Sys<void> checked(Call call) {
  if (retried(call) != 0) return Errno{errno};
  return {};
}

class KernelDisk final : public Disk {
 public:
  // kernel_disk_names.cpp
  Sys<Fd> open(int directory, const std::string& path, int flags, mode_t mode) override;
  Sys<Fd> open_beneath(int directory, const std::string& path, int flags, mode_t mode) override;
  Sys<std::unique_ptr<DirectoryStream>> read_directory(int descriptor) override;
  Sys<void> make_directory(int directory, const std::string& path, mode_t mode) override;
  Sys<void> rename(int from_directory, const std::string& from, int to_directory,
                   const std::string& to, bool replace) override;
  Sys<void> exchange(int directory_a, const std::string& a, int directory_b,
                     const std::string& b) override;
  Sys<void> link(int from_directory, const std::string& from, int to_directory,
                 const std::string& to) override;
  Sys<void> symlink(const std::string& text, int directory, const std::string& path) override;
  Sys<std::string> read_link(int directory, const std::string& path) override;
  Sys<void> make_node(int directory, const std::string& path, mode_t mode, dev_t device) override;
  Sys<void> unlink(int directory, const std::string& path) override;
  Sys<void> remove_directory(int directory, const std::string& path) override;

  // kernel_disk_content.cpp
  Sys<std::size_t> read_at(int fd, std::uint64_t offset, std::span<std::byte> into) override;
  Sys<void> write_at(int fd, std::uint64_t offset, std::span<const std::byte> data) override;
  void forget_read(int fd) override;
  Sys<void> truncate(int fd, std::uint64_t size) override;
  Sys<void> punch_hole(int fd, std::uint64_t offset, std::uint64_t length) override;
  Sys<std::optional<std::uint64_t>> seek_data(int fd, std::uint64_t from) override;
  Sys<std::optional<std::uint64_t>> seek_hole(int fd, std::uint64_t from) override;
  Sys<std::vector<MappedExtent>> map_extents(int fd, bool sync_first) override;
  Sys<void> reflink(int to_fd, int from_fd) override;
  Sys<std::size_t> copy_range(int from_fd, std::uint64_t from, int to_fd, std::uint64_t to,
                              std::size_t length) override;
  Sys<void> fsync(int fd) override;
  Sys<void> fdatasync(int fd) override;
  Sys<void> syncfs(int fd) override;

  // kernel_disk_metadata.cpp
  Sys<struct ::stat> stat(int fd) override;
  Sys<struct ::stat> stat_at(int directory, const std::string& path) override;
  Sys<void> change_mode(int fd, mode_t mode) override;
  Sys<void> change_mode_at(int directory, const std::string& path, mode_t mode) override;
  Sys<void> change_owner(int fd, uid_t uid, gid_t gid) override;
  Sys<void> change_owner_at(int directory, const std::string& path, uid_t uid, gid_t gid) override;
  Sys<void> set_times(int fd, Times times) override;
  Sys<void> set_times_at(int directory, const std::string& path, Times times) override;
  Sys<std::vector<std::string>> list_xattrs(int fd) override;
  Sys<std::string> get_xattr(int fd, const std::string& name) override;
  Sys<void> set_xattr(int fd, const std::string& name, std::string_view value) override;
  Sys<void> remove_xattr(int fd, const std::string& name) override;
  Sys<std::vector<std::string>> list_xattrs_at(int directory, const std::string& path) override;
  Sys<std::string> get_xattr_at(int directory, const std::string& path,
                                const std::string& name) override;
  Sys<void> set_xattr_at(int directory, const std::string& path, const std::string& name,
                         std::string_view value) override;

  // kernel_disk_filesystem.cpp
  Sys<FileSystemInfo> file_system(int fd) override;
  Sys<SpaceInfo> space(int fd) override;
  Sys<std::string> file_system_id(int fd) override;
  Sys<void> create_subvolume(int directory, const std::string& name) override;
  Sys<void> snapshot_subvolume(int directory, const std::string& name, int source_fd,
                               bool read_only) override;
  Sys<void> destroy_subvolume(int directory, const std::string& name) override;
  Sys<void> set_subvolume_read_only(int fd, bool read_only) override;
  Sys<SubvolumeInfo> subvolume_info(int fd) override;
};

}  // namespace lockstep::os
