#include "common/components/users/hold.hpp"

#include <nlohmann/json.hpp>

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
    if (version.component == component::kUserData && one_file::is_place_of(out.hold, version)) {
      return out;
    }
  } catch (const json::exception&) {  // of another component, or damaged: said below
  }
  return make_error(ErrorCode::version_missing, "not the place of a version of user data",
                    version.native);
}

std::string hold_path(const DataSet& set, Area area, const std::string& name) {
  return one_file::hold_path(set.place.location, area, set.id, name);
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
  LOCKSTEP_TRY(const auto holds, one_file::holds_in(disk, set.place.location, area, set.id));
  std::vector<Version> out;
  for (const auto& hold : holds) out.push_back(version_in(hold.path, set.id, hold.run));
  return out;
}

Result<std::string> read_document(os::Disk& disk, const Native& native) {
  auto read = os::read_file(disk, native.file(), kMostBytes);
  if (!read && read.error().code == ErrorCode::not_found) {
    return make_error(ErrorCode::version_missing, "the version is not in the store", native.file());
  }
  return read;
}

Result<void> check_location(const std::string& location) {
  if (location.starts_with('/') && location.ends_with("/" + std::string(files::kStoreName))) {
    return {};
  }
  return make_error(ErrorCode::set_missing, "user data is kept in the store of a cluster's root",
                    location);
}

}  // namespace lockstep::user_data
