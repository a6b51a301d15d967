// FaultyDisk: a disk that is full after some bytes, or cannot read a file at some place.
//
// Thread rule: any thread; the settings too.
#pragma once

#include <atomic>
#include <mutex>

#include "tests/support/forwarding_disk.hpp"

namespace lockstep::test {

class FaultyDisk final : public ForwardingDisk {
 public:
  using ForwardingDisk::ForwardingDisk;

  // Writing, cloning and copying fail with ENOSPC once so many bytes went through; a write that
  // crosses the limit is cut there, as the kernel does. With nothing left names cannot be made
  // either. Below `only_under` (a path), everywhere where that is empty.
  void full_after(std::uint64_t bytes, std::string only_under = "");
  void free_space();

  // read_at over the byte at `offset` of a file whose path ends with `path_end` fails with EIO.
  void fail_read(std::string path_end, std::uint64_t offset);
  // open and open_beneath of a path that ends so fail with `number`.
  void fail_open(std::string path_end, int number);
  void heal();

  // How often a fault was met since the last setting.
  std::uint64_t met() const { return met_; }

  Sys<Fd> open(int directory, const std::string& path, int flags, mode_t mode) override;
  Sys<Fd> open_beneath(int directory, const std::string& path, int flags, mode_t mode) override;
  Sys<std::size_t> read_at(int fd, std::uint64_t offset, std::span<std::byte> into) override;
  Sys<void> write_at(int fd, std::uint64_t offset, std::span<const std::byte> data) override;
  Sys<void> reflink(int to_fd, int from_fd) override;
  Sys<std::size_t> copy_range(int from_fd, std::uint64_t from, int to_fd, std::uint64_t to,
                              std::size_t length) override;
  Sys<void> make_directory(int directory, const std::string& path, mode_t mode) override;
  Sys<void> symlink(const std::string& text, int directory, const std::string& path) override;
  Sys<void> link(int from_directory, const std::string& from, int to_directory,
                 const std::string& to) override;

 private:
  std::uint64_t take(int fd, std::uint64_t wanted);
  bool nothing_left(int directory, const std::string& path);
  std::optional<Errno> refused_open(const std::string& path);

  mutable std::mutex guard_;
  bool limited_ = false;
  std::uint64_t left_ = 0;
  std::string only_under_;
  std::string read_path_end_;
  std::uint64_t read_offset_ = 0;
  std::string open_path_end_;
  int open_error_ = 0;
  std::atomic<std::uint64_t> met_ = 0;
};

}  // namespace lockstep::test
