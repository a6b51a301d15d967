#include "services/snapshot-agent/places.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/os/durable.hpp"
#include "common/os/whole_file.hpp"

namespace lockstep::snapshot {

namespace {

using message::Body;

constexpr std::uint64_t kMostBytes = 1 << 20;
constexpr std::string_view kPart = ".part";

std::string directory_of(const Tools& tools) { return tools.state + "/places"; }

// {service, sets: [set as an instruction had it]}; nothing where it cannot be read.
std::optional<Body> read_places(os::Disk& disk, const std::string& path) {
  const auto text = os::read_file(disk, path, kMostBytes);
  if (!text) {
    if (text.error().code != ErrorCode::not_found) spdlog::error("{}", text.error().text());
    return std::nullopt;
  }
  auto body = message::unpack_body(*text);
  if (!body || !body->is_object() || !body->contains("service") || !body->contains("sets")) {
    spdlog::error("{} does not hold the places of a data set", path);
    return std::nullopt;
  }
  return std::move(*body);
}

bool same_place(const Body& one, const Body& other) {
  return one.at("from").at("component") == other.at("from").at("component") &&
         one.at("from").at("location") == other.at("from").at("location");
}

}  // namespace

Result<void> remember_places(const Tools& tools, const std::vector<OwnSet>& sets) {
  LOCKSTEP_CHECK(os::make_directories(tools.disk, directory_of(tools)));
  for (const OwnSet& set : sets) {
    const std::string path =
        directory_of(tools) + "/" + set.data.id.service + "." + set.data.id.set;
    Body known = read_places(tools.disk, path).value_or(Body{{"sets", Body::array()}});
    known["service"] = set.data.id.service;
    Body& places = known["sets"];
    if (std::any_of(places.begin(), places.end(),
                    [&](const Body& place) { return same_place(place, set.body); })) {
      continue;
    }
    places.push_back(set.body);
    LOCKSTEP_CHECK(os::write_durably(tools.disk, path, message::pack_body(known), {}));
  }
  return {};
}

Result<std::vector<MemberRow>> remembered_places(const Tools& tools) {
  LOCKSTEP_TRY(const auto names, os::names_in(tools.disk, directory_of(tools)));
  std::vector<MemberRow> out;
  for (const std::string& name : names) {
    if (name.ends_with(kPart)) continue;
    const auto known = read_places(tools.disk, directory_of(tools) + "/" + name);
    if (!known) continue;
    for (const Body& set : known->at("sets")) {
      MemberRow place;
      place.service = known->at("service").get<std::string>();
      place.name = set.at("name").get<std::string>();
      place.set = set;
      out.push_back(std::move(place));
    }
  }
  return out;
}

}  // namespace lockstep::snapshot
