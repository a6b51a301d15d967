// LossyDisk: a disk that loses what was not synced when its power goes.
//
// Everything is done on the disk under it at once; what has not been synced is remembered with the
// way back. lose_power() then decides, by its seed, what of that reached the platter:
//   - of each file whose data was not synced (fsync, fdatasync, syncfs) every page of 4 KiB is
//   either
//     as it was at the last sync or as it is now, and so is the size; a page that was lost beyond
//     the old size reads as zeros;
//   - mode, owner, times and extended attributes of each such file: all old or all new (syncs of
//     its data by fdatasync do not save them);
//   - each change of names (made, renamed, linked, removed) that its directory's fsync, or syncfs,
//     has not made durable happened or did not. One that did not takes with it every later one that
//     needs it: of the same name, or inside a directory that was then never made.
//     A rename between directories is durable once the directory it went to is synced. fsync of a
//     new file does not save its name.
// That is less than ext4 or XFS promise, and all that POSIX does.
//
// Removed names lie in `grave` (a directory on the same file system that the tests do not look at)
// until their removal is durable; the link counts of files that have other names show it. Subvolume
// calls count as durable at once (btrfs commits a transaction for them).
//
// Thread rule: any thread.
#pragma once

#include <map>
#include <mutex>
#include <random>

#include "tests/support/forwarding_disk.hpp"

namespace lockstep::test {

class LossyDisk final : public ForwardingDisk {
 public:
  // Requires: `grave` exists.
  LossyDisk(os::Disk& under, const std::string& grave);

  // From the n-th changing or syncing call from now on (n from 0) changing, opening and reading
  // fail with EIO, until power_on(). How a test stops the code at a place that no failpoint has.
  void power_off_after(std::uint64_t calls);
  bool off() const;
  // Changing and syncing calls so far: what a sweep counts to.
  std::uint64_t calls() const;

  // Undoes what did not reach the platter. Calls fail afterwards until power_on().
  void lose_power(std::uint64_t seed);
  void power_on();

  Sys<Fd> open(int directory, const std::string& path, int flags, mode_t mode) override;
  Sys<Fd> open_beneath(int directory, const std::string& path, int flags, mode_t mode) override;
  Sys<std::size_t> read_at(int fd, std::uint64_t offset, std::span<std::byte> into) override;
  Sys<void> write_at(int fd, std::uint64_t offset, std::span<const std::byte> data) override;
  Sys<void> truncate(int fd, std::uint64_t size) override;
  Sys<void> punch_hole(int fd, std::uint64_t offset, std::uint64_t length) override;
  Sys<void> reflink(int to_fd, int from_fd) override;
  Sys<std::size_t> copy_range(int from_fd, std::uint64_t from, int to_fd, std::uint64_t to,
                              std::size_t length) override;
  Sys<void> make_directory(int directory, const std::string& path, mode_t mode) override;
  Sys<void> rename(int from_directory, const std::string& from, int to_directory,
                   const std::string& to, bool replace) override;
  Sys<void> exchange(int directory_a, const std::string& a, int directory_b,
                     const std::string& b) override;
  Sys<void> link(int from_directory, const std::string& from, int to_directory,
                 const std::string& to) override;
  Sys<void> symlink(const std::string& text, int directory, const std::string& path) override;
  Sys<void> make_node(int directory, const std::string& path, mode_t mode, dev_t device) override;
  Sys<void> unlink(int directory, const std::string& path) override;
  Sys<void> remove_directory(int directory, const std::string& path) override;
  Sys<void> change_mode(int fd, mode_t mode) override;
  Sys<void> change_mode_at(int directory, const std::string& path, mode_t mode) override;
  Sys<void> change_owner(int fd, uid_t uid, gid_t gid) override;
  Sys<void> change_owner_at(int directory, const std::string& path, uid_t uid, gid_t gid) override;
  Sys<void> set_times(int fd, os::Times times) override;
  Sys<void> set_xattr(int fd, const std::string& name, std::string_view value) override;
  Sys<void> remove_xattr(int fd, const std::string& name) override;
  Sys<void> fsync(int fd) override;
  Sys<void> fdatasync(int fd) override;
  Sys<void> syncfs(int fd) override;

 private:
  using Inode = std::pair<dev_t, ino_t>;
  // A name in a directory, which is held open so that the way back does not need its path.
  struct Spot {
    std::shared_ptr<Fd> directory;
    Inode inode;  // the directory's
    std::string name;
  };
  enum class Act { made, moved, exchanged, removed };
  struct Change {
    Act act = Act::made;
    Spot at;                         // made, removed: the name; moved, exchanged: where it is now
    Spot from;                       // moved, exchanged: where it was
    std::string grave;               // what it took away, by its name in the grave; or empty
    std::optional<Inode> made = {};  // made: what
  };
  // A regular file with data that was not synced.
  struct Data {
    Fd file;
    std::vector<std::byte> durable;  // its content at the last sync
    std::uint64_t order = 0;         // inode numbers differ from run to run; this does not
  };
  struct Metadata {
    Fd file;
    struct ::stat durable {};
    std::map<std::string, std::string> xattrs;
    std::uint64_t order = 0;
  };

  // Counts a changing call; the error once the power is off.
  std::optional<Errno> pass();
  Sys<Spot> spot(int directory, const std::string& path);
  Sys<std::string> bury(const Spot& spot);
  void remember(Change change);
  Sys<std::vector<std::byte>> content_of(int fd);
  Sys<void> remember_data(int fd);
  void remember_metadata(int fd);
  void remember_metadata_at(int directory, const std::string& path);
  template <class Make>
  auto making(int directory, const std::string& path, Make make) -> decltype(make());
  template <class Call>
  Sys<void> changing_data(int fd, Call call);
  template <class Call>
  Sys<void> changing_metadata(int fd, Call call);
  Sys<void> removing(int directory, const std::string& path, bool is_directory);
  template <class Which>
  void settle_names(Which which);
  void undo(const Change& change);
  void lose_names(std::mt19937_64& random);
  void lose_pages(Data& data, std::mt19937_64& random);
  void lose_metadata(Metadata& metadata);

  mutable std::mutex guard_;
  Fd grave_;
  std::uint64_t buried_ = 0;
  std::uint64_t calls_ = 0;
  std::optional<std::uint64_t> off_at_;
  bool off_ = false;
  std::vector<Change> changes_;  // of names, oldest first
  std::map<Inode, std::shared_ptr<Fd>> directories_;
  std::map<Inode, Data> data_;
  std::map<Inode, Metadata> metadata_;
};

}  // namespace lockstep::test
