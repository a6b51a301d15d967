#include "tests/support/lossy_disk.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cerrno>

namespace lockstep::test {

namespace {

std::pair<dev_t, ino_t> inode_of(const struct ::stat& info) { return {info.st_dev, info.st_ino}; }

// The same file by a descriptor of its own, with other rights than the caller's.
Sys<Fd> reopened(int fd, int flags) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  Fd own{::open(path.c_str(), flags | O_CLOEXEC)};
  if (!own) return Errno{errno};
  return own;
}

bool is_empty(os::Disk& disk, int directory, const std::string& path) {
  auto fd = disk.open(directory, path, O_RDONLY | O_DIRECTORY);
  if (!fd) return false;
  auto stream = disk.read_directory(fd->get());
  if (!stream) return false;
  auto first = (*stream)->next();
  return first && !*first;
}

}  // namespace

LossyDisk::LossyDisk(os::Disk& under, const std::string& grave) : ForwardingDisk(under) {
  auto opened = under.open(os::kCwd, grave, O_RDONLY | O_DIRECTORY);
  if (!opened) ::abort();  // a mistake in the test
  grave_ = std::move(*opened);
  // Every file and directory that was not synced is held open.
  struct ::rlimit limit {};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void LossyDisk::power_off_after(std::uint64_t calls) {
  const std::scoped_lock lock(guard_);
  off_at_ = calls_ + calls;
}

bool LossyDisk::off() const {
  const std::scoped_lock lock(guard_);
  return off_;
}

std::uint64_t LossyDisk::calls() const {
  const std::scoped_lock lock(guard_);
  return calls_;
}

void LossyDisk::power_on() {
  const std::scoped_lock lock(guard_);
  off_ = false;
  off_at_.reset();
}

std::optional<Errno> LossyDisk::pass() {
  if (off_at_ && calls_ >= *off_at_) off_ = true;
  if (off_) return Errno{EIO};
  ++calls_;
  return std::nullopt;
}

Sys<LossyDisk::Spot> LossyDisk::spot(int directory, const std::string& path) {
  const auto slash = path.rfind('/');
  std::string parent = slash == std::string::npos ? "." : path.substr(0, slash);
  if (parent.empty()) parent = "/";
  auto fd = under_.open(directory, parent, O_RDONLY | O_DIRECTORY, 0);
  if (!fd) return fd.error();
  auto info = under_.stat(fd->get());
  if (!info) return info.error();
  const Inode inode = inode_of(*info);
  auto& shared = directories_[inode];
  if (!shared) shared = std::make_shared<Fd>(std::move(*fd));
  return Spot{shared, inode, slash == std::string::npos ? path : path.substr(slash + 1)};
}

Sys<std::string> LossyDisk::bury(const Spot& spot) {
  std::string name = std::to_string(buried_++);
  auto moved = under_.rename(spot.directory->get(), spot.name, grave_.get(), name, false);
  if (!moved) return moved.error();
  return name;
}

void LossyDisk::remember(Change change) { changes_.push_back(std::move(change)); }

Sys<std::vector<std::byte>> LossyDisk::content_of(int fd) {
  auto info = under_.stat(fd);
  if (!info) return info.error();
  std::vector<std::byte> content(static_cast<std::size_t>(info->st_size));
  auto got = under_.read_at(fd, 0, content);
  if (!got) return got.error();
  content.resize(*got);
  return content;
}

Sys<void> LossyDisk::remember_data(int fd) {
  auto info = under_.stat(fd);
  if (!info) return info.error();
  if (!S_ISREG(info->st_mode) || data_.contains(inode_of(*info))) return {};
  auto own = reopened(fd, O_RDWR);
  if (!own) return own.error();
  auto content = content_of(own->get());
  if (!content) return content.error();
  data_.emplace(inode_of(*info), Data{std::move(*own), std::move(*content), calls_});
  return {};
}

void LossyDisk::remember_metadata(int fd) {
  auto info = under_.stat(fd);
  if (!info || (!S_ISREG(info->st_mode) && !S_ISDIR(info->st_mode))) return;
  if (metadata_.contains(inode_of(*info))) return;
  auto own = reopened(fd, O_RDONLY);
  if (!own) return;
  Metadata metadata{std::move(*own), *info, {}, calls_};
  if (auto names = under_.list_xattrs(fd)) {
    for (const auto& name : *names) {
      if (auto value = under_.get_xattr(fd, name)) metadata.xattrs[name] = *value;
    }
  }
  metadata_.emplace(inode_of(*info), std::move(metadata));
}

void LossyDisk::remember_metadata_at(int directory, const std::string& path) {
  auto fd = under_.open(directory, path, O_RDONLY | O_NONBLOCK, 0);
  if (fd) remember_metadata(fd->get());
}

template <class Make>
auto LossyDisk::making(int directory, const std::string& path, Make make) -> decltype(make()) {
  const std::scoped_lock lock(guard_);
  if (auto off = pass()) return *off;
  if (under_.stat_at(directory, path)) return make();  // of what is there: it fails, or opens it
  auto at = spot(directory, path);
  if (!at) return at.error();
  auto result = make();
  if (!result) return result;
  auto info = under_.stat_at(directory, path);
  if (!info) return info.error();
  remember({Act::made, *at, {}, {}, inode_of(*info)});
  if (S_ISREG(info->st_mode) && info->st_nlink == 1) {
    // An empty file: there is nothing yet that could be lost, but all that comes.
    if (auto fd = under_.open(directory, path, O_RDONLY, 0)) {
      (void)remember_data(fd->get());
      remember_metadata(fd->get());
    }
  }
  return result;
}

Sys<Fd> LossyDisk::open(int directory, const std::string& path, int flags, mode_t mode) {
  if ((flags & O_CREAT) != 0) {
    return making(directory, path, [&] { return under_.open(directory, path, flags, mode); });
  }
  const std::scoped_lock lock(guard_);
  if (off_) return Errno{EIO};
  if ((flags & O_TRUNC) != 0) {
    if (auto off = pass()) return *off;
    auto fd = under_.open(directory, path, O_RDONLY | O_NONBLOCK, 0);
    if (!fd) return fd;
    if (auto kept = remember_data(fd->get()); !kept) return kept.error();
  }
  return under_.open(directory, path, flags, mode);
}

Sys<Fd> LossyDisk::open_beneath(int directory, const std::string& path, int flags, mode_t mode) {
  if ((flags & O_CREAT) != 0) {
    return making(directory, path,
                  [&] { return under_.open_beneath(directory, path, flags, mode); });
  }
  const std::scoped_lock lock(guard_);
  if (off_) return Errno{EIO};
  return under_.open_beneath(directory, path, flags, mode);
}

Sys<std::size_t> LossyDisk::read_at(int fd, std::uint64_t offset, std::span<std::byte> into) {
  const std::scoped_lock lock(guard_);
  if (off_) return Errno{EIO};
  return under_.read_at(fd, offset, into);
}

template <class Call>
Sys<void> LossyDisk::changing_data(int fd, Call call) {
  const std::scoped_lock lock(guard_);
  if (auto off = pass()) return *off;
  if (auto kept = remember_data(fd); !kept) return kept;
  remember_metadata(fd);
  return call();
}

Sys<void> LossyDisk::write_at(int fd, std::uint64_t offset, std::span<const std::byte> data) {
  return changing_data(fd, [&] { return under_.write_at(fd, offset, data); });
}

Sys<void> LossyDisk::truncate(int fd, std::uint64_t size) {
  return changing_data(fd, [&] { return under_.truncate(fd, size); });
}

Sys<void> LossyDisk::punch_hole(int fd, std::uint64_t offset, std::uint64_t length) {
  return changing_data(fd, [&] { return under_.punch_hole(fd, offset, length); });
}

Sys<void> LossyDisk::reflink(int to_fd, int from_fd) {
  return changing_data(to_fd, [&] { return under_.reflink(to_fd, from_fd); });
}

Sys<std::size_t> LossyDisk::copy_range(int from_fd, std::uint64_t from, int to_fd, std::uint64_t to,
                                       std::size_t length) {
  Sys<std::size_t> copied = std::size_t{0};
  auto changed = changing_data(to_fd, [&]() -> Sys<void> {
    copied = under_.copy_range(from_fd, from, to_fd, to, length);
    return {};
  });
  if (!changed) return changed.error();
  return copied;
}

Sys<void> LossyDisk::make_directory(int directory, const std::string& path, mode_t mode) {
  return making(directory, path, [&] { return under_.make_directory(directory, path, mode); });
}

Sys<void> LossyDisk::symlink(const std::string& text, int directory, const std::string& path) {
  return making(directory, path, [&] { return under_.symlink(text, directory, path); });
}

Sys<void> LossyDisk::make_node(int directory, const std::string& path, mode_t mode, dev_t device) {
  return making(directory, path, [&] { return under_.make_node(directory, path, mode, device); });
}

Sys<void> LossyDisk::link(int from_directory, const std::string& from, int to_directory,
                          const std::string& to) {
  return making(to_directory, to,
                [&] { return under_.link(from_directory, from, to_directory, to); });
}

Sys<void> LossyDisk::rename(int from_directory, const std::string& from, int to_directory,
                            const std::string& to, bool replace) {
  const std::scoped_lock lock(guard_);
  if (auto off = pass()) return *off;
  auto source = under_.stat_at(from_directory, from);
  if (!source) return source.error();
  auto there = under_.stat_at(to_directory, to);
  if (there && !replace) return Errno{EEXIST};
  if (there && inode_of(*there) == inode_of(*source)) return {};  // rename(2): nothing happens
  if (there && S_ISDIR(there->st_mode) != S_ISDIR(source->st_mode)) {
    return Errno{S_ISDIR(there->st_mode) ? EISDIR : ENOTDIR};
  }
  if (there && S_ISDIR(there->st_mode) && !is_empty(under_, to_directory, to)) {
    return Errno{ENOTEMPTY};
  }
  auto old_spot = spot(from_directory, from);
  if (!old_spot) return old_spot.error();
  auto new_spot = spot(to_directory, to);
  if (!new_spot) return new_spot.error();
  std::string grave;
  if (there) {
    auto buried = bury(*new_spot);
    if (!buried) return buried.error();
    grave = *buried;
  }
  auto moved = under_.rename(from_directory, from, to_directory, to, false);
  if (!moved) {
    if (there) {
      auto back =
          under_.rename(grave_.get(), grave, new_spot->directory->get(), new_spot->name, false);
      if (!back) return back;
    }
    return moved;
  }
  remember({Act::moved, *new_spot, *old_spot, grave, {}});
  return {};
}

Sys<void> LossyDisk::exchange(int directory_a, const std::string& a, int directory_b,
                              const std::string& b) {
  const std::scoped_lock lock(guard_);
  if (auto off = pass()) return *off;
  auto spot_a = spot(directory_a, a);
  if (!spot_a) return spot_a.error();
  auto spot_b = spot(directory_b, b);
  if (!spot_b) return spot_b.error();
  auto done = under_.exchange(directory_a, a, directory_b, b);
  if (done) remember({Act::exchanged, *spot_b, *spot_a, {}, {}});
  return done;
}

Sys<void> LossyDisk::removing(int directory, const std::string& path, bool is_directory) {
  const std::scoped_lock lock(guard_);
  if (auto off = pass()) return *off;
  auto info = under_.stat_at(directory, path);
  if (!info) return info.error();
  if (is_directory && !S_ISDIR(info->st_mode)) return Errno{ENOTDIR};
  if (!is_directory && S_ISDIR(info->st_mode)) return Errno{EISDIR};
  if (is_directory && !is_empty(under_, directory, path)) return Errno{ENOTEMPTY};
  auto at = spot(directory, path);
  if (!at) return at.error();
  auto buried = bury(*at);
  if (!buried) return buried.error();
  remember({Act::removed, *at, {}, *buried, {}});
  return {};
}

Sys<void> LossyDisk::unlink(int directory, const std::string& path) {
  return removing(directory, path, false);
}

Sys<void> LossyDisk::remove_directory(int directory, const std::string& path) {
  return removing(directory, path, true);
}

template <class Call>
Sys<void> LossyDisk::changing_metadata(int fd, Call call) {
  const std::scoped_lock lock(guard_);
  if (auto off = pass()) return *off;
  remember_metadata(fd);
  return call();
}

Sys<void> LossyDisk::change_mode(int fd, mode_t mode) {
  return changing_metadata(fd, [&] { return under_.change_mode(fd, mode); });
}

Sys<void> LossyDisk::change_mode_at(int directory, const std::string& path, mode_t mode) {
  const std::scoped_lock lock(guard_);
  if (auto off = pass()) return *off;
  remember_metadata_at(directory, path);
  return under_.change_mode_at(directory, path, mode);
}

Sys<void> LossyDisk::change_owner(int fd, uid_t uid, gid_t gid) {
  return changing_metadata(fd, [&] { return under_.change_owner(fd, uid, gid); });
}

Sys<void> LossyDisk::change_owner_at(int directory, const std::string& path, uid_t uid, gid_t gid) {
  const std::scoped_lock lock(guard_);
  if (auto off = pass()) return *off;
  remember_metadata_at(directory, path);
  return under_.change_owner_at(directory, path, uid, gid);
}

Sys<void> LossyDisk::set_times(int fd, os::Times times) {
  return changing_metadata(fd, [&] { return under_.set_times(fd, times); });
}

Sys<void> LossyDisk::set_xattr(int fd, const std::string& name, std::string_view value) {
  return changing_metadata(fd, [&] { return under_.set_xattr(fd, name, value); });
}

Sys<void> LossyDisk::remove_xattr(int fd, const std::string& name) {
  return changing_metadata(fd, [&] { return under_.remove_xattr(fd, name); });
}

template <class Which>
void LossyDisk::settle_names(Which which) {
  std::erase_if(changes_, [&](const Change& change) {
    if (!which(change.at.inode)) return false;
    if (!change.grave.empty() && !under_.unlink(grave_.get(), change.grave)) {
      (void)under_.remove_directory(grave_.get(), change.grave);
    }
    return true;
  });
  if (changes_.empty()) directories_.clear();
}

Sys<void> LossyDisk::fsync(int fd) {
  const std::scoped_lock lock(guard_);
  if (auto off = pass()) return *off;
  auto info = under_.stat(fd);
  if (!info) return info.error();
  const Inode inode = inode_of(*info);
  data_.erase(inode);
  metadata_.erase(inode);
  if (S_ISDIR(info->st_mode)) settle_names([&](const Inode& at) { return at == inode; });
  return {};
}

Sys<void> LossyDisk::fdatasync(int fd) {
  const std::scoped_lock lock(guard_);
  if (auto off = pass()) return *off;
  auto info = under_.stat(fd);
  if (!info) return info.error();
  data_.erase(inode_of(*info));
  return {};
}

Sys<void> LossyDisk::syncfs(int fd) {
  const std::scoped_lock lock(guard_);
  if (auto off = pass()) return *off;
  auto info = under_.stat(fd);
  if (!info) return info.error();
  const auto here = [&](const Inode& inode) { return inode.first == info->st_dev; };
  std::erase_if(data_, [&](const auto& row) { return here(row.first); });
  std::erase_if(metadata_, [&](const auto& row) { return here(row.first); });
  settle_names(here);
  return {};
}

}  // namespace lockstep::test
