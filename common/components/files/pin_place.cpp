#include "common/components/files/pin_place.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <span>
#include <sstream>

#include "common/component/entry.hpp"
#include "common/components/files/side.hpp"
#include "common/components/files/store.hpp"
#include "common/os/btrfs_names.hpp"
#include "common/os/durable.hpp"
#include "common/os/whole_file.hpp"

namespace lockstep::files {

namespace {

Result<os::Fd> open_place(os::Disk& disk, const std::string& location) {
  auto opened = disk.open(os::kCwd, location, O_RDONLY | O_DIRECTORY);
  if (opened) return std::move(*opened);
  switch (opened.error().number) {
    case ENOENT:
      return make_error(ErrorCode::set_missing, "there is no such directory", location);
    case ENOTDIR:
    case ELOOP:
      return make_error(ErrorCode::not_supported,
                        "the place is not a directory (a symbolic link is not followed)", location,
                        "name the directory itself in the policy");
    default:
      return failed(Side::set, opened.error(), "open the directory", location);
  }
}

// The subvolume that holds the set: the nearest directory above with a subvolume root's inode
// number on the same device. A bind mount may hide it; then there is none to be had.
void find_subvolume(os::Disk& disk, const std::set<std::string>& mount_points, PinPlace& place) {
  auto own = disk.stat(place.root.get());
  if (!own) return;
  std::string path = place.canonical;
  while (true) {
    auto seen = disk.stat_at(os::kCwd, path);
    if (!seen || seen->st_dev != own->st_dev) return;
    if (seen->st_ino == os::kSubvolumeRootInode) break;
    // Another directory of the subvolume, mounted here: its own way in the subvolume is not known.
    if (path == "/" || mount_points.contains(path)) return;
    path = os::directory_of(path);
  }
  auto opened = disk.open(os::kCwd, path, O_RDONLY | O_DIRECTORY);
  if (!opened) return;
  auto root = disk.stat(opened->get());
  // The kernel lets a subvolume be snapshot by its owner and by root (ioctl_btrfs, SNAP_CREATE_V2).
  if (!root || (::geteuid() != 0 && root->st_uid != ::geteuid())) return;
  if (!disk.subvolume_info(opened->get())) return;
  place.subvolume = std::move(*opened);
  if (path.size() < place.canonical.size()) {
    place.inside_subvolume = place.canonical.substr(path == "/" ? 1 : path.size() + 1);
  }
}

bool left_out_whole(const Exclude& exclude, const std::string& path) {
  for (std::size_t end = path.find('/');; end = path.find('/', end + 1)) {
    if (exclude.leaves_out(path.substr(0, end), true)) return true;
    if (end == std::string::npos) return false;
  }
}

Result<std::set<std::string>> all_mount_points(os::Disk& disk) {
  LOCKSTEP_TRY(const std::string table,
               os::read_whole(disk, "/proc/self/mountinfo", ErrorCode::io));
  std::istringstream lines(table);
  std::set<std::string> points;
  for (std::string line; std::getline(lines, line);) points.insert(mount_point_of(line));
  return points;
}

// The mount points below `canonical` that are not left out. Error: nested-mount, naming the first.
Result<void> refuse_nested_mounts(const std::set<std::string>& points, const std::string& canonical,
                                  const Exclude& exclude) {
  const std::string prefix = canonical == "/" ? canonical : canonical + "/";
  for (const std::string& point : points) {
    if (!point.starts_with(prefix) || point.size() == prefix.size()) continue;
    if (left_out_whole(exclude, point.substr(prefix.size()))) continue;
    return make_error(ErrorCode::nested_mount, "another mount lies inside the data set", point);
  }
  return {};
}

}  // namespace

std::string mount_point_of(const std::string& line) {
  std::istringstream words(line);
  std::string word;
  for (int field = 0; field < 5; ++field) {
    if (!(words >> word)) return {};
  }
  std::string point;  // proc(5): blanks and backslashes are written as \ooo
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '\\' && i + 3 < word.size()) {
      point.push_back(static_cast<char>((word[i + 1] - '0') * 64 + (word[i + 2] - '0') * 8 +
                                        (word[i + 3] - '0')));
      i += 3;
    } else {
      point.push_back(word[i]);
    }
  }
  return point;
}

bool known_without_subvolumes(os::Disk& disk, const PinPlace& place, const Exclude& exclude) {
  // An ordinary user may be shut out of a directory: better told by a walk now than in mid-run.
  if (::geteuid() != 0) return false;
  // Where this is a snapshot of another subvolume, what was nested there left directories that
  // only a walk tells from others.
  const auto own = disk.subvolume_info(place.subvolume.get());
  if (!own || own->parent_uuid.find_first_not_of('0') != std::string::npos) return false;
  const auto directories = os::directories_of_nested(place.subvolume.get());
  if (!directories) return false;
  return std::all_of(directories->begin(), directories->end(), [&](const std::string& directory) {
    if (!component::path_inside(directory, place.inside_subvolume)) {
      return directory != place.inside_subvolume;
    }
    const std::size_t above =
        place.inside_subvolume.empty() ? 0 : place.inside_subvolume.size() + 1;
    return left_out_whole(exclude, directory.substr(above));
  });
}

Result<void> still_in_place(os::Disk& disk, const PinPlace& place) {
  const auto held = disk.stat(place.root.get());
  const auto there = disk.stat_at(os::kCwd, place.canonical);
  if (held && there && held->st_dev == there->st_dev && held->st_ino == there->st_ino) return {};
  return make_error(ErrorCode::set_missing,
                    "the directory that was armed is not at its place any more", place.canonical,
                    "it was moved or removed since; the next run arms what is there then");
}

Result<PinPlace> look_at_place(os::Disk& disk, const component::DataSet& set,
                               const Exclude& exclude) {
  PinPlace place;
  LOCKSTEP_TRY(place.root, open_place(disk, set.place.location));
  auto canonical = disk.read_link(os::kCwd, "/proc/self/fd/" + std::to_string(place.root.get()));
  place.canonical = canonical ? *canonical : set.place.location;
  auto system = disk.file_system(place.root.get());
  if (!system) {
    return failed(Side::set, system.error(), "look at the file system of", set.place.location);
  }
  place.file_system = system->name;
  LOCKSTEP_TRY(const std::set<std::string> points, all_mount_points(disk));
  LOCKSTEP_CHECK(refuse_nested_mounts(points, place.canonical, exclude));
  if (place.file_system == "btrfs") find_subvolume(disk, points, place);
  return place;
}

}  // namespace lockstep::files
