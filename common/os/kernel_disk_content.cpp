// What files hold: reading, writing, holes, extents, clones, and making it durable.
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>

#include "common/os/kernel_disk.hpp"
#include "common/os/read_fault.hpp"

namespace lockstep::os {

Sys<std::size_t> KernelDisk::read_at(int fd, std::uint64_t offset, std::span<std::byte> into) {
  if (const int number = read_fault(fd, offset, into.size())) return Errno{number};
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got = retried([&] {
      return ::pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    });
    if (got < 0) return Errno{errno};
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Sys<void> KernelDisk::write_at(int fd, std::uint64_t offset, std::span<const std::byte> data) {
  std::size_t done = 0;
  while (done < data.size()) {
    const ssize_t put = retried([&] {
      return ::pwrite(fd, data.data() + done, data.size() - done,
                      static_cast<off_t>(offset + done));
    });
    if (put < 0) return Errno{errno};
    if (put == 0) return Errno{EIO};  // would go round for ever
    done += static_cast<std::size_t>(put);
  }
  return {};
}

void KernelDisk::forget_read(int fd) {
  static_cast<void>(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
}

Sys<void> KernelDisk::truncate(int fd, std::uint64_t size) {
  return checked([&] { return ::ftruncate(fd, static_cast<off_t>(size)); });
}

Sys<void> KernelDisk::punch_hole(int fd, std::uint64_t offset, std::uint64_t length) {
  return checked([&] {
    return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                       static_cast<off_t>(length));
  });
}

namespace {
Sys<std::optional<std::uint64_t>> seek(int fd, std::uint64_t from, int whence) {
  const off_t found = retried([&] { return ::lseek(fd, static_cast<off_t>(from), whence); });
  if (found >= 0) return std::optional<std::uint64_t>{static_cast<std::uint64_t>(found)};
  if (errno == ENXIO) return std::optional<std::uint64_t>{};
  return Errno{errno};
}
}  // namespace

Sys<std::optional<std::uint64_t>> KernelDisk::seek_data(int fd, std::uint64_t from) {
  return seek(fd, from, SEEK_DATA);
}

Sys<std::optional<std::uint64_t>> KernelDisk::seek_hole(int fd, std::uint64_t from) {
  return seek(fd, from, SEEK_HOLE);
}

Sys<std::vector<MappedExtent>> KernelDisk::map_extents(int fd, bool sync_first) {
  constexpr std::uint32_t kBatch = 256;
  constexpr std::uint32_t kNotPlain = FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC |
                                      FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_DATA_ENCRYPTED |
                                      FIEMAP_EXTENT_NOT_ALIGNED | FIEMAP_EXTENT_DATA_INLINE |
                                      FIEMAP_EXTENT_DATA_TAIL;
  std::vector<std::byte> buffer(sizeof(::fiemap) + kBatch * sizeof(::fiemap_extent));
  std::vector<MappedExtent> out;
  std::uint64_t from = 0;
  for (;;) {
    ::fiemap request{};
    request.fm_start = from;
    request.fm_length = FIEMAP_MAX_OFFSET - from;
    request.fm_flags = sync_first && from == 0 ? FIEMAP_FLAG_SYNC : 0;
    request.fm_extent_count = kBatch;
    std::memcpy(buffer.data(), &request, sizeof(request));
    if (retried([&] { return ::ioctl(fd, FS_IOC_FIEMAP, buffer.data()); }) != 0) {
      return Errno{errno};
    }
    std::memcpy(&request, buffer.data(), sizeof(request));
    bool last = request.fm_mapped_extents == 0;
    for (std::uint32_t i = 0; i < request.fm_mapped_extents; ++i) {
      ::fiemap_extent extent{};
      std::memcpy(&extent, buffer.data() + sizeof(request) + i * sizeof(extent), sizeof(extent));
      out.push_back({extent.fe_logical, extent.fe_physical, extent.fe_length,
                     (extent.fe_flags & kNotPlain) == 0,
                     (extent.fe_flags & FIEMAP_EXTENT_UNWRITTEN) != 0});
      from = extent.fe_logical + extent.fe_length;
      last = last || (extent.fe_flags & FIEMAP_EXTENT_LAST) != 0;
    }
    if (last) return out;
  }
}

Sys<void> KernelDisk::reflink(int to_fd, int from_fd) {
  return checked([&] { return ::ioctl(to_fd, FICLONE, from_fd); });
}

Sys<std::size_t> KernelDisk::copy_range(int from_fd, std::uint64_t from, int to_fd,
                                        std::uint64_t to, std::size_t length) {
  off_t in = static_cast<off_t>(from);
  off_t out = static_cast<off_t>(to);
  const ssize_t copied =
      retried([&] { return ::copy_file_range(from_fd, &in, to_fd, &out, length, 0); });
  if (copied < 0) return Errno{errno};
  return static_cast<std::size_t>(copied);
}

Sys<void> KernelDisk::fsync(int fd) {
  return checked([&] { return ::fsync(fd); });
}

Sys<void> KernelDisk::fdatasync(int fd) {
  return checked([&] { return ::fdatasync(fd); });
}

Sys<void> KernelDisk::syncfs(int fd) {
  return checked([&] { return ::syncfs(fd); });
}

}  // namespace lockstep::os
