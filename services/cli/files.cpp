#include "services/cli/files.hpp"

#include <fcntl.h>

#include <filesystem>
#include <span>

namespace lockstep::cli {

namespace fs = std::filesystem;

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
