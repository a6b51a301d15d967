#include "common/components/files/remove_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <vector>

#include "common/components/files/pin_errors.hpp"
#include "common/components/files/store.hpp"

namespace lockstep::files {

namespace {

constexpr std::size_t kBatch = 1024;  // names read at once: memory does not grow with a directory

Result<os::Fd> open_for_removal(os::Disk& disk, int directory, const std::string& name) {
  auto opened = disk.open(directory, name, O_RDONLY | O_DIRECTORY);
  if (opened) return std::move(*opened);
  return store_error(opened.error().number, "open the directory", name);
}

Result<void> empty_directory(os::Disk& disk, int descriptor, const std::string& shown);

Result<void> remove_child(os::Disk& disk, int directory, const os::DirectoryEntry& entry) {
  // Unlinking a directory fails without harm: most entries are none.
  auto unlinked = disk.unlink(directory, entry.name);
  if (unlinked || unlinked.error().number == ENOENT) return {};
  if (unlinked.error().number == EISDIR || unlinked.error().number == EPERM) {
    auto seen = disk.stat_at(directory, entry.name);
    if (!seen && seen.error().number == ENOENT) return {};
    if (seen && S_ISDIR(seen->st_mode)) return remove_tree(disk, directory, entry.name);
  }
  return store_error(unlinked.error().number, "remove", entry.name);
}

Result<void> empty_directory(os::Disk& disk, int descriptor, const std::string& shown) {
  while (true) {
    auto stream = disk.read_directory(descriptor);
    if (!stream) return store_error(stream.error().number, "read the directory", shown);
    std::vector<os::DirectoryEntry> batch;
    while (batch.size() < kBatch) {
      auto next = (*stream)->next();
      if (!next) return store_error(next.error().number, "read the directory", shown);
      if (!*next) break;
      batch.push_back(std::move(**next));
    }
    if (batch.empty()) return {};
    for (const os::DirectoryEntry& entry : batch) {
      LOCKSTEP_CHECK(remove_child(disk, descriptor, entry));
    }
  }
}

}  // namespace

Result<void> remove_tree(os::Disk& disk, int directory, const std::string& name) {
  auto seen = disk.stat_at(directory, name);
  if (!seen) {
    if (seen.error().number == ENOENT) return {};
    return store_error(seen.error().number, "look at", name);
  }
  if (!S_ISDIR(seen->st_mode)) {
    auto unlinked = disk.unlink(directory, name);
    if (unlinked || unlinked.error().number == ENOENT) return {};
    return store_error(unlinked.error().number, "remove", name);
  }
  if (seen->st_ino == os::kSubvolumeRootInode) {
    auto opened = disk.open(directory, name, O_RDONLY | O_DIRECTORY);
    if (opened && disk.subvolume_info(opened->get())) {
      return remove_subvolume(disk, directory, name);
    }
  }
  // A directory keeps the mode it had in the data set: one that its owner may not write in has to
  // be opened up first.
  constexpr mode_t kOwnerAll = S_IRUSR | S_IWUSR | S_IXUSR;
  if ((seen->st_mode & kOwnerAll) != kOwnerAll) {
    if (auto changed = disk.change_mode_at(directory, name, kOwnerAll); !changed) {
      return store_error(changed.error().number, "change the mode of", name);
    }
  }
  {
    LOCKSTEP_TRY(const os::Fd opened, open_for_removal(disk, directory, name));
    LOCKSTEP_CHECK(empty_directory(disk, opened.get(), name));
  }
  auto removed = disk.remove_directory(directory, name);
  if (removed || removed.error().number == ENOENT) return {};
  return store_error(removed.error().number, "remove the directory", name);
}

Result<void> remove_subvolume(os::Disk& disk, int directory, const std::string& name) {
  if (name.find('/') != std::string::npos) {
    // The call wants the directory and a bare name.
    LOCKSTEP_TRY(const os::Fd parent, open_for_removal(disk, directory, parent_of(name)));
    return remove_subvolume(disk, parent.get(), name_of(name));
  }
  auto destroyed = disk.destroy_subvolume(directory, name);
  if (destroyed || destroyed.error().number == ENOENT) return {};
  const int refused = destroyed.error().number;
  if (refused != EPERM && refused != EACCES && refused != EROFS) {
    return store_error(refused, "destroy the subvolume", name);
  }
  const auto hopeless = [&name](int number) {
    Error error = store_error(number, "destroy the subvolume", name);
    error.code = ErrorCode::permission;
    error.hint =
        "mount the file system with user_subvol_rm_allowed, run the agent as the owner of the "
        "data, "
        "or give it CAP_SYS_ADMIN";
    return error;
  };
  LOCKSTEP_TRY(const os::Fd opened, open_for_removal(disk, directory, name));
  // Its owner may make it writable, and what is writable may be removed by who owns it.
  if (auto writable = disk.set_subvolume_read_only(opened.get(), false); !writable) {
    return hopeless(refused);
  }
  if (disk.destroy_subvolume(directory, name)) return {};
  if (auto emptied = empty_directory(disk, opened.get(), name); !emptied) return hopeless(refused);
  auto removed = disk.remove_directory(directory, name);
  if (!removed && removed.error().number != ENOENT) return hopeless(removed.error().number);
  return {};
}

}  // namespace lockstep::files
