#include "common/components/files/store.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "common/os/durable.hpp"

namespace lockstep::files {

namespace {

bool is_directory(os::Disk& disk, const std::string& path) {
  auto seen = disk.stat_at(os::kCwd, path);
  return seen && S_ISDIR(seen->st_mode);
}

Result<std::string> file_system_of(os::Disk& disk, const std::string& path) {
  auto opened = disk.open(os::kCwd, path, O_RDONLY | O_DIRECTORY);
  if (!opened) return from_errno(ErrorCode::permission, opened.error().number, "open", path);
  auto id = disk.file_system_id(opened->get());
  if (!id) return from_errno(ErrorCode::io, id.error().number, "look at the file system of", path);
  return std::move(*id);
}

// Whether entries may be made in `directory`: found by making one, for rights have too many sources
// (modes, ACLs, capabilities, read-only mounts) to be derived.
bool may_write(os::Disk& disk, const std::string& directory) {
  const std::string probe = directory + "/.probe-" + std::to_string(::gettid());
  if (auto made = disk.make_directory(os::kCwd, probe, 0700); !made) {
    if (made.error().number != EEXIST) return false;
  }
  return disk.remove_directory(os::kCwd, probe).has_value();
}

}  // namespace

const char* area_name(Area area) {
  switch (area) {
    case Area::pins:
      return "pins";
    case Area::versions:
      return "versions";
    case Area::staging:
      return "staging";
  }
  return "pins";
}

bool is_store(std::string_view path) {
  return path == kStoreName || (path.starts_with(kStoreName) && path.size() > kStoreName.size() &&
                                path[kStoreName.size()] == '/');
}

std::string name_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::vector<std::string> store_candidates(const std::string& location) {
  std::string place = location;
  while (place.size() > 1 && place.back() == '/') place.pop_back();
  const std::string parent = os::directory_of(place);
  const std::string name(kStoreName);
  const std::string inside = (place == "/" ? "" : place) + "/" + name;
  if (place == "/") return {inside};
  return {(parent == "/" ? "" : parent) + "/" + name, inside};
}

Result<std::string> open_store(os::Disk& disk, const std::string& location) {
  if (location.empty() || location.front() != '/') {
    return make_error(ErrorCode::set_missing, "the place is not an absolute path", location);
  }
  const std::vector<std::string> candidates = store_candidates(location);
  if (!is_directory(disk, location)) {
    LOCKSTEP_CHECK(os::make_directories(disk, candidates.front()));
    return candidates.front();
  }
  LOCKSTEP_TRY(const std::string own, file_system_of(disk, location));
  Error last = make_error(ErrorCode::permission, "no place for the store", location);
  for (const std::string& candidate : candidates) {
    auto beside = file_system_of(disk, os::directory_of(candidate));
    if (!beside || *beside != own) continue;
    if (auto made = os::make_directories(disk, candidate); !made) {
      last = std::move(made).error();
      continue;
    }
    // The store itself may have been mounted elsewhere: versions must share the set's file system.
    auto store = file_system_of(disk, candidate);
    if (!store || *store != own) continue;
    if (may_write(disk, candidate)) return candidate;
    last = make_error(ErrorCode::permission, "the store cannot be written", candidate,
                      "let the agent's user write in the set's parent directory or in the set");
  }
  return last;
}

std::vector<std::string> existing_stores(os::Disk& disk, const std::string& location) {
  std::vector<std::string> found;
  for (std::string& candidate : store_candidates(location)) {
    if (is_directory(disk, candidate)) found.push_back(std::move(candidate));
  }
  return found;
}

bool may_link(os::Disk& disk, const std::string& hold, const std::string& location) {
  const auto store = open_store(disk, location);
  if (!store) return false;
  const auto here = disk.stat_at(os::kCwd, *store);
  const auto there = disk.stat_at(os::kCwd, os::directory_of(hold));
  return here && there && here->st_dev == there->st_dev;
}

std::string set_directory(const std::string& store, Area area, const component::SetId& id) {
  return store + "/" + area_name(area) + "/" + id.service + "/" + id.set;
}

}  // namespace lockstep::files
