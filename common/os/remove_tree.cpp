#include "common/os/remove_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <vector>

#include "common/os/durable.hpp"

namespace lockstep::os {

namespace {

constexpr std::size_t kBatch = 1024;  // names read at once: memory does not grow with a directory

Result<Fd> open_for_removal(Disk& disk, int directory, const std::string& name) {
  auto opened = disk.open(directory, name, O_RDONLY | O_DIRECTORY);
  if (opened) return std::move(*opened);
  return write_error(opened.error(), "open the directory", name);
}

constexpr int kDeepest = 32;  // levels with open descriptors at a time

// One removal: what lies too deep is moved up into its top directory, which is emptied until
// nothing is left in it; so neither descriptors nor the stack grow with the tree.
struct Removal {
  Disk& disk;
  int top = -1;
  int level = 0;
  unsigned moved = 0;
};

Result<void> empty_directory(Removal& removal, int descriptor, const std::string& shown);
Result<void> remove_directory_tree(Removal& removal, int directory, const std::string& name,
                                   const struct ::stat& info);

Result<void> move_up(Removal& removal, int directory, const std::string& name) {
  for (;;) {
    const std::string up = ".deep-" + std::to_string(++removal.moved);
    auto moved = removal.disk.rename(directory, name, removal.top, up, false);
    if (moved) return {};
    if (moved.error().number != EEXIST) return write_error(moved.error(), "move", name);
  }
}

Result<void> remove_child(Removal& removal, int directory, const DirectoryEntry& entry) {
  Disk& disk = removal.disk;
  // Unlinking a directory fails without harm: most entries are none.
  auto unlinked = disk.unlink(directory, entry.name);
  if (unlinked || unlinked.error().number == ENOENT) return {};
  if (unlinked.error().number == EISDIR || unlinked.error().number == EPERM) {
    auto seen = disk.stat_at(directory, entry.name);
    if (!seen && seen.error().number == ENOENT) return {};
    if (seen && S_ISDIR(seen->st_mode)) {
      return remove_directory_tree(removal, directory, entry.name, *seen);
    }
  }
  return write_error(unlinked.error(), "remove", entry.name);
}

Result<void> empty_directory(Removal& removal, int descriptor, const std::string& shown) {
  while (true) {
    auto stream = removal.disk.read_directory(descriptor);
    if (!stream) return write_error(stream.error(), "read the directory", shown);
    std::vector<DirectoryEntry> batch;
    while (batch.size() < kBatch) {
      auto next = (*stream)->next();
      if (!next) return write_error(next.error(), "read the directory", shown);
      if (!*next) break;
      batch.push_back(std::move(**next));
    }
    stream->reset();
    if (batch.empty()) return {};
    for (const DirectoryEntry& entry : batch) {
      LOCKSTEP_CHECK(remove_child(removal, descriptor, entry));
    }
  }
}

Result<void> remove_directory_tree(Removal& removal, int directory, const std::string& name,
                                   const struct ::stat& info) {
  Disk& disk = removal.disk;
  if (info.st_ino == kSubvolumeRootInode) {
    auto opened = disk.open(directory, name, O_RDONLY | O_DIRECTORY);
    if (opened && disk.subvolume_info(opened->get())) {
      return remove_subvolume(disk, directory, name);
    }
  }
  // A directory keeps the mode it had in the data set: one that its owner may not write in has to
  // be opened up first.
  constexpr mode_t kOwnerAll = S_IRUSR | S_IWUSR | S_IXUSR;
  if ((info.st_mode & kOwnerAll) != kOwnerAll) {
    if (auto changed = disk.change_mode_at(directory, name, kOwnerAll); !changed) {
      return write_error(changed.error(), "change the mode of", name);
    }
  }
  if (removal.level >= kDeepest) return move_up(removal, directory, name);
  {
    LOCKSTEP_TRY(const Fd opened, open_for_removal(disk, directory, name));
    if (removal.top < 0) removal.top = opened.get();
    ++removal.level;
    auto emptied = empty_directory(removal, opened.get(), name);
    --removal.level;
    LOCKSTEP_CHECK(std::move(emptied));
  }
  auto removed = disk.remove_directory(directory, name);
  if (removed || removed.error().number == ENOENT) return {};
  return write_error(removed.error(), "remove the directory", name);
}

}  // namespace

Result<void> remove_tree(Disk& disk, int directory, const std::string& name) {
  auto seen = disk.stat_at(directory, name);
  if (!seen) {
    if (seen.error().number == ENOENT) return {};
    return write_error(seen.error(), "look at", name);
  }
  if (!S_ISDIR(seen->st_mode)) {
    auto unlinked = disk.unlink(directory, name);
    if (unlinked || unlinked.error().number == ENOENT) return {};
    return write_error(unlinked.error(), "remove", name);
  }
  Removal removal{disk};
  return remove_directory_tree(removal, directory, name, *seen);
}

Result<void> remove_subvolume(Disk& disk, int directory, const std::string& name) {
  if (name.find('/') != std::string::npos) {
    // The call wants the directory and a bare name.
    LOCKSTEP_TRY(const Fd parent, open_for_removal(disk, directory, directory_of(name)));
    return remove_subvolume(disk, parent.get(), name.substr(name.rfind('/') + 1));
  }
  auto destroyed = disk.destroy_subvolume(directory, name);
  if (destroyed || destroyed.error().number == ENOENT) return {};
  const int refused = destroyed.error().number;
  if (refused != EPERM && refused != EACCES && refused != EROFS) {
    return write_error(destroyed.error(), "destroy the subvolume", name);
  }
  const auto hopeless = [&name](int number) {
    Error error = write_error(Errno{number}, "destroy the subvolume", name);
    error.code = ErrorCode::permission;
    error.hint =
        "mount the file system with user_subvol_rm_allowed, run the agent as the owner of the "
        "data, "
        "or give it CAP_SYS_ADMIN";
    return error;
  };
  LOCKSTEP_TRY(const Fd opened, open_for_removal(disk, directory, name));
  // Its owner may make it writable, and what is writable may be removed by who owns it.
  if (auto writable = disk.set_subvolume_read_only(opened.get(), false); !writable) {
    return hopeless(refused);
  }
  if (disk.destroy_subvolume(directory, name)) return {};
  Removal removal{.disk = disk, .top = opened.get(), .level = 1};
  if (auto emptied = empty_directory(removal, opened.get(), name); !emptied) {
    return hopeless(refused);
  }
  auto removed = disk.remove_directory(directory, name);
  if (!removed && removed.error().number != ENOENT) return hopeless(removed.error().number);
  return {};
}

}  // namespace lockstep::os
