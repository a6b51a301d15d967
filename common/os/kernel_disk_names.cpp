// Opening, and everything that changes names.
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/os/kernel_disk.hpp"

namespace lockstep::os {

namespace {

class KernelDirectoryStream final : public DirectoryStream {
 public:
  explicit KernelDirectoryStream(::DIR* directory) : directory_(directory) {}
  ~KernelDirectoryStream() override { ::closedir(directory_); }
  KernelDirectoryStream(const KernelDirectoryStream&) = delete;
  KernelDirectoryStream& operator=(const KernelDirectoryStream&) = delete;

  Sys<std::optional<DirectoryEntry>> next() override {
    for (;;) {
      errno = 0;
      const ::dirent* entry = ::readdir(directory_);
      if (entry == nullptr) {
        if (errno != 0) return Errno{errno};
        return std::optional<DirectoryEntry>{};
      }
      std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      return std::optional<DirectoryEntry>{
          DirectoryEntry{std::move(name), entry->d_type, entry->d_ino}};
    }
  }

 private:
  ::DIR* directory_;
};

}  // namespace

Sys<Fd> KernelDisk::open(int directory, const std::string& path, int flags, mode_t mode) {
  const int number = retried(
      [&] { return ::openat(directory, path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode); });
  if (number < 0) return Errno{errno};
  return Fd{number};
}

Sys<Fd> KernelDisk::open_beneath(int directory, const std::string& path, int flags, mode_t mode) {
  ::open_how how{};
  // openat2 refuses a mode where nothing can be made, and unknown bits in it.
  const bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  how.flags = static_cast<std::uint64_t>(static_cast<unsigned>(flags | O_CLOEXEC | O_NOFOLLOW));
  how.mode = makes ? (mode & 07777) : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: a rename elsewhere raced with the look-up and it could not be shown to have stayed
  // beneath (openat2(2)); a few repeats are what the manual asks for.
  long number = -1;
  for (int attempt = 0; attempt < 64; ++attempt) {
    number =
        retried([&] { return ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof(how)); });
    if (number >= 0 || errno != EAGAIN) break;
  }
  if (number < 0) return Errno{errno};
  return Fd{static_cast<int>(number)};
}

Sys<std::unique_ptr<DirectoryStream>> KernelDisk::read_directory(int descriptor) {
  // A description of its own, so that two streams of one descriptor do not share a position.
  auto own = open(descriptor, ".", O_RDONLY | O_DIRECTORY, 0);
  if (!own) return own.error();
  ::DIR* directory = ::fdopendir(own->get());
  if (directory == nullptr) return Errno{errno};
  (void)own->release();  // closedir closes it
  return std::unique_ptr<DirectoryStream>(std::make_unique<KernelDirectoryStream>(directory));
}

Sys<void> KernelDisk::make_directory(int directory, const std::string& path, mode_t mode) {
  return checked([&] { return ::mkdirat(directory, path.c_str(), mode); });
}

Sys<void> KernelDisk::rename(int from_directory, const std::string& from, int to_directory,
                             const std::string& to, bool replace) {
  return checked([&] {
    return ::renameat2(from_directory, from.c_str(), to_directory, to.c_str(),
                       replace ? 0 : RENAME_NOREPLACE);
  });
}

Sys<void> KernelDisk::exchange(int directory_a, const std::string& a, int directory_b,
                               const std::string& b) {
  return checked(
      [&] { return ::renameat2(directory_a, a.c_str(), directory_b, b.c_str(), RENAME_EXCHANGE); });
}

Sys<void> KernelDisk::link(int from_directory, const std::string& from, int to_directory,
                           const std::string& to) {
  return checked(
      [&] { return ::linkat(from_directory, from.c_str(), to_directory, to.c_str(), 0); });
}

Sys<void> KernelDisk::symlink(const std::string& text, int directory, const std::string& path) {
  return checked([&] { return ::symlinkat(text.c_str(), directory, path.c_str()); });
}

Sys<std::string> KernelDisk::read_link(int directory, const std::string& path) {
  std::string text(256, '\0');
  for (;;) {
    const ssize_t length =
        retried([&] { return ::readlinkat(directory, path.c_str(), text.data(), text.size()); });
    if (length < 0) return Errno{errno};
    if (static_cast<std::size_t>(length) < text.size()) {
      text.resize(static_cast<std::size_t>(length));
      return text;
    }
    text.resize(text.size() * 2);  // it filled the buffer: it may have been cut
  }
}

Sys<void> KernelDisk::make_node(int directory, const std::string& path, mode_t mode, dev_t device) {
  return checked([&] { return ::mknodat(directory, path.c_str(), mode, device); });
}

Sys<void> KernelDisk::unlink(int directory, const std::string& path) {
  return checked([&] { return ::unlinkat(directory, path.c_str(), 0); });
}

Sys<void> KernelDisk::remove_directory(int directory, const std::string& path) {
  return checked([&] { return ::unlinkat(directory, path.c_str(), AT_REMOVEDIR); });
}

}  // namespace lockstep::os
