#include "common/components/sqlite/copy.hpp"

#include <cstddef>
#include <span>
#include <vector>

#include "common/components/sqlite/hold.hpp"
#include "common/os/durable.hpp"

namespace lockstep::sqlite {

Result<void> copy_content(os::Disk& disk, int from, const std::string& from_name, int to,
                          const std::string& to_name,
                          const std::function<bool(std::uint64_t)>& copied) {
  auto seen = disk.stat(from);
  if (!seen) return from_errno(ErrorCode::source_read, seen.error().number, "look at", from_name);
  const auto size = static_cast<std::uint64_t>(seen->st_size);
  if (disk.reflink(to, from)) {
    copied(size);
    return {};
  }
  // By our own hands: copy_file_range does not say whether reading or writing failed.
  constexpr std::size_t kChunk = 1U << 20U;
  std::vector<std::byte> buffer(kChunk);
  for (std::uint64_t at = 0; at < size;) {
    auto got = disk.read_at(from, at, buffer);
    if (!got) return from_errno(ErrorCode::source_read, got.error().number, "read", from_name);
    if (*got == 0) {
      return make_error(ErrorCode::source_read, "the file became shorter while it was read",
                        from_name);
    }
    auto put = disk.write_at(to, at, std::span<const std::byte>(buffer).first(*got));
    if (!put) return os::write_error(put.error(), "write", to_name);
    at += *got;
    if (!copied(*got)) return make_error(ErrorCode::cancelled, "the copy was stopped", from_name);
  }
  return {};
}

}  // namespace lockstep::sqlite
