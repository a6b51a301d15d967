#include "common/components/users/hold.hpp"

#include <cerrno>
#include <nlohmann/json.hpp>

#include "common/component/entry.hpp"
#include "common/os/durable.hpp"
#include "common/os/whole_file.hpp"

namespace lockstep::user_data {

using component::DataSet;
using component::SetId;
using component::UserCapture;
using component::Version;
using files::Area;
using nlohmann::json;

namespace {

// "<run>.<attempt>" is named for its run.
std::string without_attempt(const std::string& name) { return name.substr(0, name.rfind('.')); }

std::optional<UserCapture> capture_from(const json& native) {
  const auto at = native.find("capture");
  if (at == native.end()) return std::nullopt;
  UserCapture out;
  at->at("store").get_to(out.store);
  at->at("digest").get_to(out.digest);
  at->at("records").get_to(out.records);
  at->at("requested_ns").get_to(out.captured.requested.count);
  at->at("acknowledged_ns").get_to(out.captured.acknowledged.count);
  return out;
}

bool is_place_of(const std::string& hold, const Version& version) {
  if (!hold.starts_with('/') || version.name.empty() ||
      version.name.find('/') != std::string::npos || !component::path_is_clean(hold.substr(1))) {
    return false;
  }
  const std::string store = "/" + std::string(files::kStoreName);
  const auto ends_so = [&](Area area, const std::string& path) {
    return path.ends_with(files::set_directory(store, area, version.id) + "/" + version.name);
  };
  return ends_so(Area::pins, hold) || ends_so(Area::versions, hold) ||
         ends_so(Area::staging, without_attempt(hold));
}

}  // namespace

std::string to_text(const Native& native) {
  json out = {{"hold", native.hold}};
  if (native.capture) {
    out["capture"] = {{"store", native.capture->store},
                      {"digest", native.capture->digest},
                      {"records", native.capture->records},
                      {"requested_ns", native.capture->captured.requested.count},
                      {"acknowledged_ns", native.capture->captured.acknowledged.count}};
  }
  return out.dump(-1, ' ', false, json::error_handler_t::strict);
}

Result<Native> native_of(const Version& version) {
  try {
    const json parsed = json::parse(version.native);
    Native out{parsed.at("hold").get<std::string>(), capture_from(parsed)};
    if (version.component == component::kUserData && is_place_of(out.hold, version)) return out;
  } catch (const json::exception&) {  // of another component, or damaged: said below
  }
  return make_error(ErrorCode::version_missing, "not the place of a version of user data",
                    version.native);
}

std::string hold_path(const DataSet& set, Area area, const std::string& name) {
  return files::set_directory(set.place.location, area, set.id) + "/" + name;
}

Version version_in(const std::string& hold, const SetId& id, const std::string& name) {
  return Version{id, component::kUserData, name, to_text({hold, std::nullopt})};
}

std::optional<Version> find_hold(os::Disk& disk, const DataSet& set, Area area,
                                 const std::string& name) {
  const std::string hold = hold_path(set, area, name);
  if (!os::exists(disk, hold)) return std::nullopt;
  return version_in(hold, set.id, name);
}

Result<std::vector<Version>> holds_of(os::Disk& disk, const DataSet& set, Area area) {
  const std::string directory = files::set_directory(set.place.location, area, set.id);
  LOCKSTEP_TRY(const auto names, os::names_in(disk, directory));
  std::vector<Version> out;
  for (const auto& name : names) {
    out.push_back(version_in(directory + "/" + name, set.id,
                             area == Area::staging ? without_attempt(name) : name));
  }
  return out;
}

Result<void> remove_hold(os::Disk& disk, const std::string& hold) {
  if (!os::exists(disk, hold)) return {};
  LOCKSTEP_TRY(const auto names, os::names_in(disk, hold));
  for (const auto& name : names) {
    auto removed = disk.unlink(os::kCwd, hold + "/" + name);
    if (!removed && removed.error().number != ENOENT) {
      return os::write_error(removed.error(), "remove", hold + "/" + name);
    }
  }
  auto removed = disk.remove_directory(os::kCwd, hold);
  if (!removed && removed.error().number != ENOENT) {
    return os::write_error(removed.error(), "remove", hold);
  }
  return {};
}

Result<void> check_location(const std::string& location) {
  if (location.starts_with('/') && location.ends_with("/" + std::string(files::kStoreName))) {
    return {};
  }
  return make_error(ErrorCode::set_missing, "user data is kept in the store of a cluster's root",
                    location);
}

}  // namespace lockstep::user_data
