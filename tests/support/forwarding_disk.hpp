// ForwardingDisk: hands every call to another disk. Disks of tests override what they change.
#pragma once

#include "common/os/disk.hpp"

namespace lockstep::test {

using os::Errno;
using os::Fd;
using os::Sys;

class ForwardingDisk : public os::Disk {
 public:
  explicit ForwardingDisk(os::Disk& under) : under_(under) {}

  Sys<Fd> open(int directory, const std::string& path, int flags, mode_t mode) override {
    return under_.open(directory, path, flags, mode);
  }
  Sys<Fd> open_beneath(int directory, const std::string& path, int flags, mode_t mode) override {
    return under_.open_beneath(directory, path, flags, mode);
  }
  Sys<std::unique_ptr<os::DirectoryStream>> read_directory(int descriptor) override {
    return under_.read_directory(descriptor);
  }
  Sys<std::size_t> read_at(int fd, std::uint64_t offset, std::span<std::byte> into) override {
    return under_.read_at(fd, offset, into);
  }
  Sys<void> write_at(int fd, std::uint64_t offset, std::span<const std::byte> data) override {
    return under_.write_at(fd, offset, data);
  }
  void forget_read(int fd) override { under_.forget_read(fd); }
  Sys<void> truncate(int fd, std::uint64_t size) override { return under_.truncate(fd, size); }
  Sys<void> punch_hole(int fd, std::uint64_t offset, std::uint64_t length) override {
    return under_.punch_hole(fd, offset, length);
  }
  Sys<std::optional<std::uint64_t>> seek_data(int fd, std::uint64_t from) override {
    return under_.seek_data(fd, from);
  }
  Sys<std::optional<std::uint64_t>> seek_hole(int fd, std::uint64_t from) override {
    return under_.seek_hole(fd, from);
  }
  Sys<std::vector<os::MappedExtent>> map_extents(int fd, bool sync_first) override {
    return under_.map_extents(fd, sync_first);
  }
  Sys<void> reflink(int to_fd, int from_fd) override { return under_.reflink(to_fd, from_fd); }
  Sys<std::size_t> copy_range(int from_fd, std::uint64_t from, int to_fd, std::uint64_t to,
                              std::size_t length) override {
    return under_.copy_range(from_fd, from, to_fd, to, length);
  }
  Sys<void> make_directory(int directory, const std::string& path, mode_t mode) override {
    return under_.make_directory(directory, path, mode);
  }
  Sys<void> rename(int from_directory, const std::string& from, int to_directory,
                   const std::string& to, bool replace) override {
    return under_.rename(from_directory, from, to_directory, to, replace);
  }
  Sys<void> exchange(int directory_a, const std::string& a, int directory_b,
                     const std::string& b) override {
    return under_.exchange(directory_a, a, directory_b, b);
  }
  Sys<void> link(int from_directory, const std::string& from, int to_directory,
                 const std::string& to) override {
    return under_.link(from_directory, from, to_directory, to);
  }
  Sys<void> symlink(const std::string& text, int directory, const std::string& path) override {
    return under_.symlink(text, directory, path);
  }
  Sys<std::string> read_link(int directory, const std::string& path) override {
    return under_.read_link(directory, path);
  }
  Sys<void> make_node(int directory, const std::string& path, mode_t mode, dev_t device) override {
    return under_.make_node(directory, path, mode, device);
  }
  Sys<void> unlink(int directory, const std::string& path) override {
    return under_.unlink(directory, path);
  }
  Sys<void> remove_directory(int directory, const std::string& path) override {
    return under_.remove_directory(directory, path);
  }
  Sys<struct ::stat> stat(int fd) override { return under_.stat(fd); }
  Sys<struct ::stat> stat_at(int directory, const std::string& path) override {
    return under_.stat_at(directory, path);
  }
  Sys<void> change_mode(int fd, mode_t mode) override { return under_.change_mode(fd, mode); }
  Sys<void> change_mode_at(int directory, const std::string& path, mode_t mode) override {
    return under_.change_mode_at(directory, path, mode);
  }
  Sys<void> change_owner(int fd, uid_t uid, gid_t gid) override {
    return under_.change_owner(fd, uid, gid);
  }
  Sys<void> change_owner_at(int directory, const std::string& path, uid_t uid, gid_t gid) override {
    return under_.change_owner_at(directory, path, uid, gid);
  }
  Sys<void> set_times(int fd, os::Times times) override { return under_.set_times(fd, times); }
  Sys<void> set_times_at(int directory, const std::string& path, os::Times times) override {
    return under_.set_times_at(directory, path, times);
  }
  Sys<std::vector<std::string>> list_xattrs(int fd) override { return under_.list_xattrs(fd); }
  Sys<std::string> get_xattr(int fd, const std::string& name) override {
    return under_.get_xattr(fd, name);
  }
  Sys<void> set_xattr(int fd, const std::string& name, std::string_view value) override {
    return under_.set_xattr(fd, name, value);
  }
  Sys<void> remove_xattr(int fd, const std::string& name) override {
    return under_.remove_xattr(fd, name);
  }
  Sys<std::vector<std::string>> list_xattrs_at(int directory, const std::string& path) override {
    return under_.list_xattrs_at(directory, path);
  }
  Sys<std::string> get_xattr_at(int directory, const std::string& path,
                                const std::string& name) override {
    return under_.get_xattr_at(directory, path, name);
  }
  Sys<void> set_xattr_at(int directory, const std::string& path, const std::string& name,
                         std::string_view value) override {
    return under_.set_xattr_at(directory, path, name, value);
  }
  Sys<void> fsync(int fd) override { return under_.fsync(fd); }
  Sys<void> fdatasync(int fd) override { return under_.fdatasync(fd); }
  Sys<void> syncfs(int fd) override { return under_.syncfs(fd); }
  Sys<os::FileSystemInfo> file_system(int fd) override { return under_.file_system(fd); }
  Sys<os::SpaceInfo> space(int fd) override { return under_.space(fd); }
  Sys<std::string> file_system_id(int fd) override { return under_.file_system_id(fd); }
  Sys<void> create_subvolume(int directory, const std::string& name) override {
    return under_.create_subvolume(directory, name);
  }
  Sys<void> snapshot_subvolume(int directory, const std::string& name, int source_fd,
                               bool read_only) override {
    return under_.snapshot_subvolume(directory, name, source_fd, read_only);
  }
  Sys<void> destroy_subvolume(int directory, const std::string& name) override {
    return under_.destroy_subvolume(directory, name);
  }
  Sys<void> set_subvolume_read_only(int fd, bool read_only) override {
    return under_.set_subvolume_read_only(fd, read_only);
  }
  Sys<os::SubvolumeInfo> subvolume_info(int fd) override { return under_.subvolume_info(fd); }

 protected:
  os::Disk& under_;
};

}  // namespace lockstep::test
