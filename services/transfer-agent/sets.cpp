#include "services/transfer-agent/sets.hpp"

#include "common/message/bytes.hpp"

namespace lockstep::transfer {

using message::Body;
using message::bytes_of;
using message::text_or_bytes;

namespace {

component::Place place_of(const Body& side) {
  component::Place place{bytes_of(side.at("location")), {}};
  for (const auto& [key, value] : side.at("options").items()) place.options[key] = bytes_of(value);
  return place;
}

std::vector<std::string> texts_of(const Body& list) {
  std::vector<std::string> texts;
  for (const auto& item : list) texts.push_back(bytes_of(item));
  return texts;
}

}  // namespace

component::DataSet data_set_of(const std::string& service, const Body& set, End end) {
  const Body& side = set.at(end == End::from ? "from" : "to");
  const Body& fence = set.at("fence");
  const std::string kind = fence.at("kind").get<std::string>();
  component::DataSet out;
  out.id = {service, set.at("name").get<std::string>()};
  out.component = side.at("component").get<std::string>();
  out.place = place_of(side);
  out.exclude = texts_of(set.at("exclude"));
  out.fence_timeout = {fence.at("timeout_ns").get<std::int64_t>()};
  out.fenced_from_outside = kind == "hook" || kind == "cgroup";
  out.allow_writer_stall = set.at("allow_writer_stall").get<bool>();
  return out;
}

component::Version version_of(const component::SetId& id, const Body& version) {
  return {id, version.at("component").get<std::string>(), version.at("name").get<std::string>(),
          bytes_of(version.at("native"))};
}

Body body_of(const component::Version& version) {
  return {{"component", version.component},
          {"name", version.name},
          {"native", text_or_bytes(version.native)}};
}

Body body_of(const component::DataSet& set) {
  Body options = Body::object();
  for (const auto& [key, value] : set.place.options) options[key] = text_or_bytes(value);
  Body exclude = Body::array();
  for (const auto& pattern : set.exclude) exclude.push_back(text_or_bytes(pattern));
  return {{"service", set.id.service},     {"set", set.id.set},
          {"component", set.component},    {"location", text_or_bytes(set.place.location)},
          {"options", std::move(options)}, {"exclude", std::move(exclude)}};
}

component::DataSet data_set_from(const Body& kept) {
  component::DataSet out;
  out.id = {kept.at("service").get<std::string>(), kept.at("set").get<std::string>()};
  out.component = kept.at("component").get<std::string>();
  out.place = place_of(kept);
  out.exclude = texts_of(kept.at("exclude"));
  return out;
}

const Body* find_set(const Body& sets, const std::string& name) {
  for (const auto& set : sets) {
    if (set.at("name") == name) return &set;
  }
  return nullptr;
}

bool fails_without_base(const Body& set) { return set.contains("on_base_lost"); }

Error base_lost(const component::SetId& id, const std::string& run, const std::string& why) {
  return make_error(
      ErrorCode::base_lost, "the base of the transfer, point " + run + ", is lost: " + why,
      id.service + "/" + id.set,
      "to carry everything once, apply the policy with `on_base_lost: full`, run, and apply it as "
      "it is again");
}

std::optional<std::string> base_of(const Body& set) {
  const auto found = set.find("base");
  if (found == set.end()) return std::nullopt;
  return found->get<std::string>();
}

Engine engine_of(const Body& set) {
  const auto found = set.find("engine");
  if (found == set.end()) return Engine::stream;
  return *found == "auto" ? Engine::at_will : Engine::always;
}

}  // namespace lockstep::transfer
