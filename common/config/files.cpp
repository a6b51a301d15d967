#include "common/config/files.hpp"

#include <fcntl.h>

#include <filesystem>
#include <span>

#include "common/os/disk.hpp"

namespace lockstep::config {

Result<LoadedFile> load_file(const std::string& path) {
  constexpr std::size_t kMaxBytes = 1024 * 1024;
  std::error_code error;
  const auto resolved = std::filesystem::canonical(path, error);
  if (error) return from_errno(ErrorCode::config_unreadable, error.value(), "open the file", path);
  const auto disk = os::make_kernel_disk();
  // O_NONBLOCK: a fifo in the file's place is refused below instead of being waited for.
  auto file = disk->open(os::kCwd, resolved.string(), O_RDONLY | O_NONBLOCK);
  if (!file) {
    return from_errno(ErrorCode::config_unreadable, file.error().number, "open the file", path);
  }
  const auto status = disk->stat(file->get());
  if (!status || !S_ISREG(status->st_mode)) {
    return make_error(ErrorCode::config_unreadable, "not a regular file", path);
  }
  std::string text(kMaxBytes + 1, '\0');
  std::size_t length = 0;
  while (length < text.size()) {
    const auto into = std::as_writable_bytes(std::span{text}.subspan(length));
    const auto got = disk->read_at(file->get(), length, into);
    if (!got) {
      return from_errno(ErrorCode::config_unreadable, got.error().number, "read the file", path);
    }
    if (*got == 0) break;
    length += *got;
  }
  if (length > kMaxBytes) {
    return make_error(ErrorCode::config_unreadable, "the file is larger than 1 MiB", path);
  }
  text.resize(length);
  return LoadedFile{resolved.string(), std::move(text)};
}

}  // namespace lockstep::config
