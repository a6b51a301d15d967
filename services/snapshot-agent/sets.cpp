#include "services/snapshot-agent/sets.hpp"

#include "common/message/bytes.hpp"

namespace lockstep::snapshot {

namespace {

FenceWish::Kind kind_from(const std::string& name) {
  if (name == "own_lock") return FenceWish::Kind::own_lock;
  if (name == "hook") return FenceWish::Kind::hook;
  if (name == "cgroup") return FenceWish::Kind::cgroup;
  return FenceWish::Kind::none;
}

}  // namespace

const char* kind_name(FenceWish::Kind kind) {
  switch (kind) {
    case FenceWish::Kind::none:
      return "none";
    case FenceWish::Kind::own_lock:
      return "own_lock";
    case FenceWish::Kind::hook:
      return "hook";
    case FenceWish::Kind::cgroup:
      return "cgroup";
  }
  return "none";
}

OwnSet read_set(const std::string& service, const message::Body& set) {
  OwnSet own;
  own.body = set;
  own.data.id = {service, set.at("name").get<std::string>()};
  const message::Body& from = set.at("from");
  own.data.component = from.at("component").get<std::string>();
  own.data.place.location = message::bytes_of(from.at("location"));
  for (const auto& [key, value] : from.at("options").items()) {
    own.data.place.options[key] = message::bytes_of(value);
  }
  for (const message::Body& pattern : set.at("exclude")) {
    own.data.exclude.push_back(message::bytes_of(pattern));
  }
  own.data.allow_writer_stall = set.at("allow_writer_stall").get<bool>();
  const message::Body& fence = set.at("fence");
  own.fence.kind = kind_from(fence.at("kind").get<std::string>());
  own.fence.hook = message::bytes_of(fence.at("hook"));
  own.fence.cgroup = message::bytes_of(fence.at("cgroup"));
  own.fence.timeout = Nanos{fence.at("timeout_ns").get<std::int64_t>()};
  own.data.fence_timeout = own.fence.timeout;
  own.data.fenced_from_outside =
      own.fence.kind == FenceWish::Kind::hook || own.fence.kind == FenceWish::Kind::cgroup;
  return own;
}

std::vector<OwnSet> own_sets(const std::string& service, const message::Body& sets,
                             const std::string& agent) {
  std::vector<OwnSet> own;
  for (const message::Body& set : sets) {
    if (set.at("agent").get<std::string>() == agent) own.push_back(read_set(service, set));
  }
  return own;
}

message::Body to_body(const component::Version& version) {
  return {{"component", version.component},
          {"name", version.name},
          {"native", message::text_or_bytes(version.native)}};
}

message::Body to_body(const Interval& interval) {
  return {{"requested", to_rfc3339(interval.requested)},
          {"acknowledged", to_rfc3339(interval.acknowledged)}};
}

}  // namespace lockstep::snapshot
