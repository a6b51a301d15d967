#include "common/components/one_file/hold.hpp"

#include <cerrno>

#include "common/component/entry.hpp"
#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"
#include "common/os/whole_file.hpp"

namespace lockstep::one_file {

using files::Area;

namespace {

std::string without_attempt(const std::string& name) { return name.substr(0, name.rfind('.')); }

Error removal_error(int number, const std::string& path) {
  const bool denied = number == EACCES || number == EPERM || number == EROFS;
  return from_errno(denied ? ErrorCode::permission : ErrorCode::io, number, "remove", path);
}

}  // namespace

std::string hold_path(const std::string& store, Area area, const component::SetId& id,
                      const std::string& name) {
  return files::set_directory(store, area, id) + "/" + name;
}

std::string staging_name(const component::Context& context) {
  return context.run + "." + std::to_string(context.attempt);
}

bool is_place_of(const std::string& hold, const component::Version& version) {
  if (!hold.starts_with('/') || version.name.empty() ||
      version.name.find('/') != std::string::npos || !component::path_is_clean(hold.substr(1))) {
    return false;
  }
  const std::string store = "/" + std::string(files::kStoreName);
  const auto ends_so = [&](Area area, const std::string& path) {
    return path.ends_with(hold_path(store, area, version.id, version.name));
  };
  return ends_so(Area::pins, hold) || ends_so(Area::versions, hold) ||
         ends_so(Area::staging, without_attempt(hold));
}

Result<std::vector<Hold>> holds_in(os::Disk& disk, const std::string& store, Area area,
                                   const component::SetId& id) {
  const std::string directory = files::set_directory(store, area, id);
  LOCKSTEP_TRY(const auto names, os::names_in(disk, directory));
  std::vector<Hold> out;
  for (const auto& name : names) {
    out.push_back({directory + "/" + name, area == Area::staging ? without_attempt(name) : name});
  }
  return out;
}

Result<void> remove_hold(os::Disk& disk, const Kind& kind, const std::string& hold) {
  if (!os::exists(disk, hold)) return {};
  LOCKSTEP_TRY(const auto names, os::names_in(disk, hold));
  for (const auto& name : names) {
    const std::string path = hold + "/" + name;
    auto removed = disk.unlink(os::kCwd, path);
    if (!removed && removed.error().number != ENOENT) {
      return removal_error(removed.error().number, path);
    }
  }
  os::failpoint(kind.hold_emptied);
  auto removed = disk.remove_directory(os::kCwd, hold);
  if (!removed && removed.error().number != ENOENT) {
    return removal_error(removed.error().number, hold);
  }
  return {};
}

}  // namespace lockstep::one_file
