#include "common/components/files/pin_copy.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <span>

#include "common/components/files/metadata.hpp"
#include "common/components/files/side.hpp"
#include "common/os/durable.hpp"

namespace lockstep::files {

namespace {

constexpr std::uint64_t kChunk = 8 * 1024 * 1024;  // between two looks at `stop`
constexpr std::size_t kReadBuffer = 1024 * 1024;

bool same_inode_state(const struct ::stat& a, const struct ::stat& b) {
  return a.st_ino == b.st_ino && a.st_ctim.tv_sec == b.st_ctim.tv_sec &&
         a.st_ctim.tv_nsec == b.st_ctim.tv_nsec && (a.st_mode & S_IFMT) == (b.st_mode & S_IFMT);
}

bool vanished(int number) { return number == ENOENT || number == ENOTDIR || number == ELOOP; }

}  // namespace

InodeCopier::InodeCopier(os::Disk& disk, const Clock& clock, bool reflink,
                         std::function<bool()> stop)
    : disk_(disk), clock_(clock), reflink_(reflink), stop_(std::move(stop)) {}

Result<InodeCopier::Outcome> InodeCopier::copy(const Node& node, int to, const std::string& shown) {
  auto outcome =
      S_ISREG(node.stat.st_mode) ? copy_regular(node, to, shown) : copy_special(node, to, shown);
  // Of a failed copy nothing may stay: the next pass would take its name for something whole.
  if (!outcome || *outcome != Outcome::made) (void)disk_.unlink(to, node.name);
  return outcome;
}

Result<InodeCopier::Outcome> InodeCopier::copy_regular(const Node& node, int to,
                                                       const std::string& shown) {
  auto source = disk_.open(node.directory, node.name, O_RDONLY | O_NONBLOCK);
  if (!source) {
    if (vanished(source.error().number)) return Outcome::changed;
    return failed(Side::set, source.error(), "open", shown);
  }
  auto seen = disk_.stat(source->get());
  if (!seen) return failed(Side::set, seen.error(), "look at", shown);
  if (!same_inode_state(*seen, node.stat)) return Outcome::changed;

  auto made = disk_.open(to, node.name, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (!made) return os::write_error(made.error(), "make the pin of", shown);
  const auto size = static_cast<std::uint64_t>(seen->st_size);
  if (size > 0) {
    const MonoNanos begun = clock_.mono();
    LOCKSTEP_TRY(const Outcome outcome, copy_content(source->get(), made->get(), size, shown));
    spent_ = spent_ + (clock_.mono() - begun);
    if (outcome != Outcome::made) return outcome;
  }
  // In this order: changing the owner clears set-id bits and capabilities, and both move no mtime.
  auto own = disk_.stat(made->get());
  if (!own) return os::write_error(own.error(), "look at the pin of", shown);
  if (own->st_uid != seen->st_uid || own->st_gid != seen->st_gid) {
    if (auto changed = disk_.change_owner(made->get(), seen->st_uid, seen->st_gid); !changed) {
      return os::write_error(changed.error(), "set the owner of the pin of", shown);
    }
  }
  if (auto changed = disk_.change_mode(made->get(), seen->st_mode & 07777); !changed) {
    return os::write_error(changed.error(), "set the mode of the pin of", shown);
  }
  LOCKSTEP_CHECK(copy_xattrs(source->get(), made->get(), shown));
  if (auto changed = disk_.set_times(made->get(), {mtime_ns(*seen)}); !changed) {
    return os::write_error(changed.error(), "set the times of the pin of", shown);
  }
  return Outcome::made;
}

Result<InodeCopier::Outcome> InodeCopier::copy_content(int from, int to, std::uint64_t size,
                                                       const std::string& shown) {
  if (reflink_) {
    auto cloned = disk_.reflink(to, from);
    if (cloned) {
      bytes_ += size;
      return Outcome::made;
    }
    const int number = cloned.error().number;
    if (number == ENOSPC || number == EDQUOT)
      return os::write_error(os::Errno{number}, "clone", shown);
    // Some files of a file system that can clone cannot be cloned (swap files, btrfs nodatasum into
    // datasum): they are copied.
  }
  std::uint64_t at = 0;
  while (at < size) {
    auto data = disk_.seek_data(from, at);
    if (!data) return failed(Side::set, data.error(), "look for data in", shown);
    if (!*data || **data >= size) break;
    auto hole = disk_.seek_hole(from, **data);
    if (!hole) return failed(Side::set, hole.error(), "look for holes in", shown);
    const std::uint64_t end = *hole ? std::min(**hole, size) : size;
    for (at = **data; at < end;) {
      if (stop_ && stop_()) return Outcome::stopped;
      const std::uint64_t length = std::min(kChunk, end - at);
      LOCKSTEP_CHECK(copy_range(from, to, at, length, shown));
      at += length;
      bytes_ += length;
    }
  }
  if (auto cut = disk_.truncate(to, size); !cut) {
    return os::write_error(cut.error(), "set the size of the pin of", shown);
  }
  return Outcome::made;
}

Result<void> InodeCopier::copy_range(int from, int to, std::uint64_t offset, std::uint64_t length,
                                     const std::string& shown) {
  std::uint64_t done = 0;
  while (done < length) {
    auto copied = disk_.copy_range(from, offset + done, to, offset + done,
                                   static_cast<std::size_t>(length - done));
    if (!copied) {
      const int number = copied.error().number;
      if (number == ENOSPC || number == EDQUOT)
        return os::write_error(os::Errno{number}, "copy", shown);
      // The call does not tell which side failed, or is not there: reading and writing does tell.
      return copy_by_reading(from, to, offset + done, length - done, shown);
    }
    if (*copied == 0) return {};  // cut short meanwhile: its ctime will tell
    done += *copied;
  }
  return {};
}

Result<void> InodeCopier::copy_by_reading(int from, int to, std::uint64_t offset,
                                          std::uint64_t length, const std::string& shown) {
  buffer_.resize(kReadBuffer);
  std::uint64_t done = 0;
  while (done < length) {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(length - done, kReadBuffer));
    const auto into = std::as_writable_bytes(std::span(buffer_).first(want));
    auto count = disk_.read_at(from, offset + done, into);
    if (!count) {
      return from_errno(ErrorCode::source_read, count.error().number,
                        "read at byte " + std::to_string(offset + done) + " of", shown);
    }
    if (*count == 0) return {};
    if (auto written = disk_.write_at(to, offset + done, into.first(*count)); !written) {
      return os::write_error(written.error(), "write the pin of", shown);
    }
    done += *count;
  }
  return {};
}

Result<void> InodeCopier::copy_xattrs(int from, int to, const std::string& shown) {
  auto names = disk_.list_xattrs(from);
  if (!names) {
    if (names.error().number == EOPNOTSUPP) return {};
    return failed(Side::set, names.error(), "list the extended attributes of", shown);
  }
  for (const std::string& name : *names) {
    if (!is_carried_xattr(name)) continue;
    auto value = disk_.get_xattr(from, name);
    if (!value) {
      if (value.error().number == ENODATA) continue;  // removed meanwhile: the ctime will tell
      return failed(Side::set, value.error(), "read the attribute " + name + " of", shown);
    }
    if (auto set = disk_.set_xattr(to, name, *value); !set) {
      return os::write_error(set.error(), "set the attribute " + name + " on the pin of", shown);
    }
  }
  return {};
}

Result<InodeCopier::Outcome> InodeCopier::copy_special(const Node& node, int to,
                                                       const std::string& shown) {
  const mode_t kind = node.stat.st_mode & S_IFMT;
  if (S_ISLNK(kind)) {
    auto text = disk_.read_link(node.directory, node.name);
    if (!text) {
      if (vanished(text.error().number) || text.error().number == EINVAL) return Outcome::changed;
      return failed(Side::set, text.error(), "read the link", shown);
    }
    if (auto made = disk_.symlink(*text, to, node.name); !made) {
      return os::write_error(made.error(), "make the pin of", shown);
    }
  } else if (auto made = disk_.make_node(to, node.name, kind | 0600, node.stat.st_rdev); !made) {
    return os::write_error(made.error(), "make the pin of", shown);
  }
  auto own = disk_.stat_at(to, node.name);
  if (!own) return os::write_error(own.error(), "look at the pin of", shown);
  if (own->st_uid != node.stat.st_uid || own->st_gid != node.stat.st_gid) {
    auto changed = disk_.change_owner_at(to, node.name, node.stat.st_uid, node.stat.st_gid);
    if (!changed) return os::write_error(changed.error(), "set the owner of the pin of", shown);
  }
  if (!S_ISLNK(kind)) {
    auto changed = disk_.change_mode_at(to, node.name, node.stat.st_mode & 07777);
    if (!changed) return os::write_error(changed.error(), "set the mode of the pin of", shown);
  }
  auto names = disk_.list_xattrs_at(node.directory, node.name);
  if (!names && names.error().number != EOPNOTSUPP) {
    if (vanished(names.error().number)) return Outcome::changed;
    return failed(Side::set, names.error(), "list the extended attributes of", shown);
  }
  for (const std::string& name : names ? *names : std::vector<std::string>{}) {
    if (!is_carried_xattr(name)) continue;
    auto value = disk_.get_xattr_at(node.directory, node.name, name);
    if (!value) {
      if (value.error().number == ENODATA) continue;
      return failed(Side::set, value.error(), "read the attribute " + name + " of", shown);
    }
    if (auto set = disk_.set_xattr_at(to, node.name, name, *value); !set) {
      return os::write_error(set.error(), "set the attribute " + name + " on the pin of", shown);
    }
  }
  if (auto set = disk_.set_times_at(to, node.name, {mtime_ns(node.stat)}); !set) {
    return os::write_error(set.error(), "set the times of the pin of", shown);
  }
  return Outcome::made;
}

Result<void> InodeCopier::copy_directory_metadata(const Node& node, int from, int to,
                                                  const std::string& shown) {
  if (auto changed = disk_.change_owner(to, node.stat.st_uid, node.stat.st_gid); !changed) {
    return os::write_error(changed.error(), "set the owner of the pin of", shown);
  }
  if (auto changed = disk_.change_mode(to, node.stat.st_mode & 07777); !changed) {
    return os::write_error(changed.error(), "set the mode of the pin of", shown);
  }
  // A directory may have inherited what the set's has not (a default ACL around the store).
  if (auto names = disk_.list_xattrs(to)) {
    for (const std::string& name : *names) {
      if (is_carried_xattr(name) && !disk_.get_xattr(from, name))
        (void)disk_.remove_xattr(to, name);
    }
  }
  LOCKSTEP_CHECK(copy_xattrs(from, to, shown));
  if (auto set = disk_.set_times(to, {mtime_ns(node.stat)}); !set) {
    return os::write_error(set.error(), "set the times of the pin of", shown);
  }
  return {};
}

}  // namespace lockstep::files
