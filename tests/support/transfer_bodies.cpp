#include "tests/support/transfer_bodies.hpp"

namespace lockstep::test {

namespace {

Body side(const std::string& cluster, const std::string& kind, const std::string& location) {
  return {{"cluster", cluster},
          {"component", kind},
          {"location", location},
          {"options", Body::object()}};
}

Body policy_body() {
  const Body place{{"location", "/srv/orders"}, {"options", Body::object()}};
  const Body data_set{
      {"name", "files"},
      {"component", "files"},
      {"place", place},
      {"agent", ""},
      {"to", {{"component", ""}, {"place", place}, {"agent", ""}}},
      {"fence", {{"kind", "none"}, {"hook", ""}, {"cgroup", ""}, {"timeout_ns", 5000000000}}},
      {"refers_to", Body::array()},
      {"exclude", Body::array()},
      {"allow_writer_stall", false}};
  return {
      {"service", "orders"},
      {"primary", "north"},
      {"mode", "push"},
      {"consistency", "bounded"},
      {"max_skew_ns", 60000000000},
      {"max_lateness_ns", 60000000000},
      {"rpo_ns", 0},
      {"stall_ns", 20000000000},
      {"deadline_ns", 0},
      {"attempts", 1},
      {"max_pending", 1},
      {"bandwidth", 0},
      {"compress", true},
      {"schedule", {{"cron", ""}, {"zone", "UTC"}, {"moments", Body::array()}, {"missed", "skip"}}},
      {"data_sets", Body::array({data_set})},
      {"retention", {{"last", 1}, {"hourly", 0}, {"daily", 0}, {"weekly", 0}, {"monthly", 0}}}};
}

}  // namespace

Body set_body(const std::string& name, const std::string& kind, const std::string& from,
              const std::string& to) {
  return {{"name", name},
          {"agent", "north-snapshot"},
          {"from", side("north", kind, from)},
          {"to", side("south", kind, to)},
          {"fence", {{"kind", "none"}, {"hook", ""}, {"cgroup", ""}, {"timeout_ns", 60000000000}}},
          {"refers_to", Body::array()},
          {"exclude", Body::array()},
          {"allow_writer_stall", false}};
}

Body instruction_body(UtcNanos moment, const std::string& peer, std::uint64_t bandwidth,
                      Nanos stall, const Body& sets) {
  return {{"service", "orders"},     {"moment", to_rfc3339(moment)},
          {"policy_version", 1},     {"peer", peer},
          {"bandwidth", bandwidth},  {"compress", true},
          {"stall_ns", stall.count}, {"sets", sets}};
}

Body seal_body(const std::string& run, const message::Epoch& epoch, UtcNanos now,
               const std::vector<Body>& set_bodies, const Body& transferred) {
  const std::string moment = to_rfc3339(now);
  Body sets = Body::array();
  Body certified = Body::array();
  for (std::size_t i = 0; i < set_bodies.size(); ++i) {
    const Body& one = transferred.at("sets").at(i);
    Body to_seal = set_bodies[i];
    for (const char* key : {"root", "entries", "bytes"}) to_seal[key] = one.at(key);
    const auto end = [&](const char* key) {
      Body out = to_seal.at(key);
      out.erase("options");
      return out;
    };
    certified.push_back({{"name", one.at("name")},
                         {"agent", "north-snapshot"},
                         {"from", end("from")},
                         {"to", end("to")},
                         {"pinned", {{"requested", moment}, {"acknowledged", moment}}},
                         {"one_instant", true},
                         {"durable", true},
                         {"method", "test"},
                         {"stage", 0},
                         {"fence", nullptr},
                         {"clock", {{"boot_id", ""}, {"synchronised", false}, {"error_ns", 0}}},
                         {"refers_to", Body::array()},
                         {"base", one.contains("base") ? one.at("base") : Body()},
                         {"root", one.at("root")},
                         {"entries", one.at("entries")},
                         {"bytes", one.at("bytes")},
                         {"bytes_sent", one.at("bytes_sent")},
                         {"bytes_resent", one.at("bytes_resent")},
                         {"proof", "received"},
                         {"caveats", one.at("caveats")}});
    sets.push_back(std::move(to_seal));
  }
  const Body certificate{{"service", "orders"},
                         {"run", run},
                         {"attempt", 1},
                         {"moment", moment},
                         {"mode", "push"},
                         {"consistency", "bounded"},
                         {"primary", "north"},
                         {"secondary", "south"},
                         {"policy_version", 1},
                         {"epoch", {{"number", epoch.number}, {"promotion", epoch.promotion}}},
                         {"program", "test"},
                         {"max_skew_ns", 60000000000},
                         {"skew_ns", 0},
                         {"lateness_ns", 0},
                         {"promises", "nothing"},
                         {"does_not_promise", "anything"},
                         {"sets", certified}};
  return {{"service", "orders"}, {"moment", moment},        {"mode", "push"},
          {"policy_version", 1}, {"policy", policy_body()}, {"certificate", certificate},
          {"sets", sets}};
}

}  // namespace lockstep::test
