#include "common/os/read_fault.hpp"

#include <limits.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace lockstep::os {

namespace {

struct Fault {
  std::string path_end;
  std::uint64_t offset = 0;
};

std::optional<Fault> wanted_fault() {
  const char* text = std::getenv("LOCKSTEP_READ_FAULT");
  if (text == nullptr) return std::nullopt;
  Fault fault{text, 0};
  const auto colon = fault.path_end.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  fault.offset = std::strtoull(fault.path_end.c_str() + colon + 1, nullptr, 10);
  fault.path_end.resize(colon);
  return fault;
}

}  // namespace

int read_fault(int fd, std::uint64_t offset, std::size_t size) {
  static const std::optional<Fault> fault = wanted_fault();
  if (!fault || fault->offset < offset || fault->offset - offset >= size) return 0;
  std::array<char, PATH_MAX> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
  if (length < 0) return 0;
  const std::string_view name(path.data(), static_cast<std::size_t>(length));
  return name.ends_with(fault->path_end) ? EIO : 0;
}

}  // namespace lockstep::os
