#include "common/os/btrfs_changes.hpp"

#include <fcntl.h>
#include <linux/btrfs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

namespace lockstep::os {

namespace {

constexpr std::size_t kPipeBytes = 1 << 20;

// The kernel writes the stream into a pipe for as long as the call lasts, in a thread of its own.
class KernelSendStream final : public SendStream {
 public:
  KernelSendStream(Fd snapshot, std::uint64_t parent, Fd read_end, Fd write_end)
      : read_end_(std::move(read_end)),
        maker_([this, from = std::move(snapshot), parent, to = std::move(write_end)]() mutable {
          make(std::move(from), parent, std::move(to));
        }) {}

  ~KernelSendStream() override {
    read_end_.reset();  // the kernel's next write fails with EPIPE
    maker_.join();
  }

  Sys<std::size_t> read(std::span<std::byte> into) override {
    ssize_t got = 0;
    do {
      got = ::read(read_end_.get(), into.data(), into.size());
    } while (got < 0 && errno == EINTR);
    if (got < 0) return Errno{errno};
    // The maker wrote its error before it closed its end.
    if (got == 0 && error_ != 0) return Errno{error_};
    return static_cast<std::size_t>(got);
  }

 private:
  void make(Fd from, std::uint64_t parent, Fd to) {
    // Whoever stops reading must not end the process: a SIGPIPE goes to the thread that writes.
    ::sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    ::btrfs_ioctl_send_args request{};
    request.send_fd = to.get();
    request.parent_root = parent;
    request.flags = BTRFS_SEND_FLAG_NO_FILE_DATA;
    if (::ioctl(from.get(), BTRFS_IOC_SEND, &request) != 0) error_ = errno;
  }

  Fd read_end_;
  std::atomic<int> error_ = 0;  // set before the pipe is closed, read after its end
  std::thread maker_;
};

}  // namespace

Sys<std::unique_ptr<SendStream>> send_changes(int snapshot, std::uint64_t parent) {
  Fd own{::fcntl(snapshot, F_DUPFD_CLOEXEC, 0)};
  if (!own) return Errno{errno};
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Errno{errno};
  Fd read_end{ends[0]};
  Fd write_end{ends[1]};
  // More at a time, where the limit for pipes allows it.
  (void)::fcntl(write_end.get(), F_SETPIPE_SZ, static_cast<int>(kPipeBytes));
  return std::unique_ptr<SendStream>(std::make_unique<KernelSendStream>(
      std::move(own), parent, std::move(read_end), std::move(write_end)));
}

Sys<std::optional<std::vector<std::string>>> inode_paths(int subvolume, std::uint64_t inode) {
  using Answer = std::optional<std::vector<std::string>>;
  // The kernel gives at most 4,096 bytes whatever it is offered (btrfs_ioctl_ino_to_path).
  alignas(::btrfs_data_container) std::array<std::byte, 4096> room{};
  ::btrfs_ioctl_ino_path_args request{};
  request.inum = inode;
  request.size = room.size();
  request.fspath = reinterpret_cast<std::uintptr_t>(room.data());
  if (::ioctl(subvolume, BTRFS_IOC_INO_PATHS, &request) != 0) return Errno{errno};
  ::btrfs_data_container head{};
  std::memcpy(&head, room.data(), sizeof head);
  if (head.elem_missed != 0 || head.bytes_missing != 0) return Answer{};
  // `val` holds offsets from its own start; each leads to a string that ends with NUL.
  constexpr std::size_t kValues = offsetof(::btrfs_data_container, val);
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < head.elem_cnt; ++i) {
    std::uint64_t offset = 0;
    const std::size_t at = kValues + i * sizeof offset;
    if (at + sizeof offset > room.size()) return Errno{EIO};
    std::memcpy(&offset, room.data() + at, sizeof offset);
    if (offset >= room.size() - kValues) return Errno{EIO};
    const std::size_t from = kValues + static_cast<std::size_t>(offset);
    const void* end = std::memchr(room.data() + from, 0, room.size() - from);
    if (end == nullptr) return Errno{EIO};
    paths.emplace_back(reinterpret_cast<const char*>(room.data() + from));
  }
  return Answer{std::move(paths)};
}

Sys<std::vector<std::string>> directories_of_nested(int subvolume) {
  std::vector<std::string> directories;
  ::btrfs_ioctl_get_subvol_rootref_args nested{};
  for (bool more = true; more;) {
    more = false;
    if (::ioctl(subvolume, BTRFS_IOC_GET_SUBVOL_ROOTREF, &nested) != 0) {
      // More than one answer holds; `min_treeid` now says where the next one begins.
      if (errno != EOVERFLOW) return Errno{errno};
      more = true;
    }
    for (std::size_t i = 0; i < nested.num_items; ++i) {
      ::btrfs_ioctl_ino_lookup_args request{};  // treeid 0: the subvolume itself
      request.objectid = nested.rootref[i].dirid;
      if (::ioctl(subvolume, BTRFS_IOC_INO_LOOKUP, &request) != 0) return Errno{errno};
      std::string path(request.name, ::strnlen(request.name, sizeof request.name));
      if (path.ends_with('/')) path.pop_back();
      directories.push_back(std::move(path));
    }
  }
  return directories;
}

}  // namespace lockstep::os
