#include "services/cli/files.hpp"

#include <fcntl.h>

#include <cerrno>
#include <filesystem>
#include <span>

namespace lockstep::cli {

namespace fs = std::filesystem;

Result<void> write_file(os::Disk& disk, const std::string& path, const std::string& text,
                        mode_t mode) {
  const std::string partial = path + ".partial";
  const auto failed = [&](os::Errno error, std::string_view act) {
    const auto code = error.number == ENOSPC ? ErrorCode::no_space : ErrorCode::target_write;
    return from_errno(code, error.number, act, path);
  };
  {
    auto file = disk.open(os::kCwd, partial, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (!file) return failed(file.error(), "write the file");
    if (auto done = disk.write_at(file->get(), 0, std::as_bytes(std::span{text})); !done) {
      return failed(done.error(), "write the file");
    }
    if (auto done = disk.fsync(file->get()); !done) return failed(done.error(), "sync the file");
  }
  if (auto done = disk.rename(os::kCwd, partial, os::kCwd, path); !done) {
    return failed(done.error(), "rename the file into place");
  }
  auto parent = disk.open(os::kCwd, fs::path{path}.parent_path().string(), O_RDONLY | O_DIRECTORY);
  if (!parent) return failed(parent.error(), "open the file's directory");
  if (auto done = disk.fsync(parent->get()); !done) {
    return failed(done.error(), "sync the file's directory");
  }
  return {};
}

Result<void> make_directories(os::Disk& disk, const std::string& path, mode_t mode) {
  std::error_code unused;
  if (path.empty() || fs::is_directory(path, unused)) return {};
  LOCKSTEP_CHECK(make_directories(disk, fs::path{path}.parent_path().string(), 0755));
  if (auto made = disk.make_directory(os::kCwd, path, mode); !made) {
    if (made.error().number == EEXIST && fs::is_directory(path, unused)) return {};
    return from_errno(ErrorCode::target_write, made.error().number, "make the directory", path);
  }
  return {};
}

bool exists(os::Disk& disk, const std::string& path) {
  return disk.stat_at(os::kCwd, path).has_value();
}

Result<std::string> read_small_file(os::Disk& disk, const std::string& path) {
  auto file = disk.open(os::kCwd, path, O_RDONLY);
  if (!file) return from_errno(ErrorCode::io, file.error().number, "open the file", path);
  std::string text(65536, '\0');
  auto got = disk.read_at(file->get(), 0, std::as_writable_bytes(std::span{text}));
  if (!got) return from_errno(ErrorCode::io, got.error().number, "read the file", path);
  text.resize(*got);
  return text;
}

Result<std::string> absolute(const std::string& path) {
  std::error_code error;
  auto out = fs::absolute(path, error);
  if (error || path.empty()) {
    return make_error(ErrorCode::usage, "not a path", path);
  }
  out = out.lexically_normal();
  if (!out.has_filename() && out.has_relative_path()) out = out.parent_path();
  return out.string();
}

}  // namespace lockstep::cli
