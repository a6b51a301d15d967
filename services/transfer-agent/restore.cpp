#include "services/transfer-agent/restore.hpp"

#include <algorithm>

#include "common/component/user_capture.hpp"
#include "common/message/bytes.hpp"
#include "common/os/durable.hpp"
#include "services/transfer-agent/sets.hpp"

namespace lockstep::transfer {

using message::Body;

namespace {

bool is_user_data(const Body& set) { return set.value("component", "") == component::kUserData; }

// User data is never live in a file: of the sets that nobody named it is left out in place.
std::vector<std::string> wanted_sets(const Body& record, const Body& request) {
  std::vector<std::string> names;
  for (const auto& name : request.at("sets")) names.push_back(name.get<std::string>());
  if (!names.empty()) return names;
  for (const auto& set : record.at("sets")) {
    if (request.at("in_place").get<bool>() && is_user_data(set)) continue;
    names.push_back(set.at("name").get<std::string>());
  }
  return names;
}

// The set's place in `cluster`, which is one of its pair.
Result<component::Place> own_place(const Body& record, const std::string& name,
                                   const std::string& cluster) {
  const Body* set = find_set(record.at("certificate").at("sets"), name);
  for (const char* end : {"to", "from"}) {
    if (set != nullptr && set->at(end).at("cluster") == cluster) {
      return component::Place{message::unshow(set->at(end).at("location").get<std::string>()), {}};
    }
  }
  return make_error(ErrorCode::not_found, "the certificate names no place of the set in " + cluster,
                    name);
}

}  // namespace

Result<std::vector<RestorePlace>> restore_places(const Body& record, const Body& request,
                                                 const std::string& cluster,
                                                 const std::string& root) {
  const bool in_place = request.at("in_place").get<bool>();
  const std::string to =
      request.contains("to") ? message::bytes_of(request.at("to")) : std::string{};
  if (in_place == !to.empty()) {
    return make_error(ErrorCode::usage, "either a directory to restore to or in place, not both");
  }
  if (in_place && !request.at("replace").get<bool>()) {
    return make_error(ErrorCode::guard,
                      "restoring in place moves what is there aside, which must be asked for",
                      cluster, "repeat with --force");
  }
  if (!in_place && to.front() != '/') {
    return make_error(ErrorCode::usage, "the directory to restore to must be an absolute path", to);
  }
  std::vector<RestorePlace> places;
  for (const auto& name : wanted_sets(record, request)) {
    if (find_set(record.at("sets"), name) == nullptr) {
      return make_error(ErrorCode::not_found, "the point has no such data set", name);
    }
    component::Place place{to + "/" + name, {}};
    if (in_place && is_user_data(*find_set(record.at("sets"), name))) {
      return make_error(ErrorCode::not_supported, "user data is not put in place as a file", name,
                        "`lockstep users apply --point` takes it into the directory");
    }
    if (in_place) {
      LOCKSTEP_TRY(place, own_place(record, name, cluster));
    }
    if ((place.location + "/").find("/.lockstep/") != std::string::npos ||
        root.starts_with(place.location + "/") || root == place.location) {
      return make_error(ErrorCode::target_overlaps,
                        "Lockstep keeps its own versions and records there", place.location);
    }
    places.push_back({std::move(place), name});
  }
  return places;
}

Result<Body> restore_point(const Agent& agent, const RecordStore& records,
                           const message::Envelope& asked, std::stop_token stop,
                           ProgressBoard& board) {
  const Body& request = asked.body;
  LOCKSTEP_TRY(const Body record, records.find(request.at("id").get<std::string>()));
  LOCKSTEP_TRY(const auto places, restore_places(record, request, agent.cluster, agent.root));
  const bool on_this_host = std::any_of(places.begin(), places.end(), [&](const auto& place) {
    const auto version = version_in(record, *find_set(record.at("sets"), place.set));
    const auto* component = agent.components.find(version.component);
    return component != nullptr && component->places_are_paths();
  });
  if (request.contains("to") && on_this_host) {
    LOCKSTEP_CHECK(os::make_directories(agent.disk, message::bytes_of(request.at("to"))));
  }
  const std::string path = message::bytes_of(request.at("path"));
  if (!path.empty() && !component::path_is_clean(path)) {
    return make_error(ErrorCode::usage, "the path must be relative to the data set's root", path);
  }
  Body sets = Body::array();
  for (const auto& [place, name] : places) {
    const journal::ReplyKey key{asked.id, "restore." + name, 0};
    LOCKSTEP_TRY(const auto before, agent.journal.find_reply(key));
    if (before) {
      sets.push_back(before->body);
      continue;
    }
    const auto version = version_in(record, *find_set(record.at("sets"), name));
    auto* component = agent.components.find(version.component);
    if (component == nullptr || component->target() == nullptr) {
      return make_error(ErrorCode::not_supported, "this agent cannot restore that component",
                        version.component);
    }
    component::Context context;
    context.run = version.name;
    context.stop = stop;
    // Of one path only: how much that will be nobody knows.
    std::optional<std::uint64_t> expected;
    if (path.empty()) {
      expected = find_set(record.at("sets"), name)->at("bytes").get<std::uint64_t>();
    }
    context.progress = [&board, set = name, expected](std::uint64_t entries, std::uint64_t bytes) {
      board.put(set, {entries, bytes, expected});
    };
    auto restored = component->target()->restore(context, version, place, path,
                                                 request.at("replace").get<bool>());
    if (!restored) {
      Error error = std::move(restored).error();
      error.what = name + ": " + error.what;
      return error;
    }
    Body row{{"name", name},
             {"path", message::text_or_bytes(place.location)},
             {"entries", restored->entries},
             {"bytes", restored->bytes}};
    if (!restored->moved_aside.empty()) {
      row["moved_aside"] = message::text_or_bytes(restored->moved_aside);
    }
    LOCKSTEP_CHECK(agent.journal.transact("restore.set",
                                          [&](journal::Transaction& transaction) -> Result<void> {
                                            transaction.store_reply(key, {true, row});
                                            return {};
                                          }));
    sets.push_back(std::move(row));
  }
  return Body{{"sets", std::move(sets)}};
}

}  // namespace lockstep::transfer
