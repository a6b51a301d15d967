// What instructions say of a policy's data sets.
#include "services/scheduler/messages.hpp"

#include <catch2/catch.hpp>

using namespace lockstep;
using namespace lockstep::scheduler;

namespace {

constexpr const char* kRun = "01936f3a-5b00-7000-8000-000000000009";

// The data sets of the instruction to transfer, of which `base` is what they may build on.
message::Body sets_to_transfer(const std::string& mode, const std::optional<message::Body>& base) {
  const auto set = [](const std::string& name, const std::string& more,
                      const std::string& component = "hdfs") {
    return "  - {name: " + name + ", component: " + component + ", path: /orders/" + name +
           ", agent: north-files" + more + "}\n";
  };
  const auto policy = policy::parse(
      "service: orders\nmode: " + mode + "\ndata_sets:\n" + set("plain", ", engine: stream") +
          set("large", ", engine: distcp, on_base_lost: fail") + set("some", ", engine: auto") +
          set("lines", ", engine: exportsnapshot", "hbase"),
      "orders.yaml");
  REQUIRE(policy);
  const auto site = config::load_site(LOCKSTEP_SOURCE "/docs/samples/site-three-hosts.yaml");
  REQUIRE(site);
  const auto origin = resolve(*policy, 1, *site, {1, kRun, "north", "user", "", false});
  REQUIRE(origin);
  auto plan = plan_for(*origin, *site);
  REQUIRE(plan);
  plan->run = kRun;
  run::State state = run::planned(*plan);
  run::Pinned pinned;
  for (const auto& one : policy->data_sets) {
    pinned.sets.emplace_back();
    pinned.sets.back().name = one.name;
    pinned.sets.back().version = {one.component, kRun, "native"};
  }
  state.steps[{run::Act::pin, 0, "north-files"}].facts = pinned;
  run::Ask ask;
  ask.key = {run::Act::transfer, 0, plan->mover()};
  const auto out = message_for(*origin, state, ask, {origin->epoch, "lockstep"}, base);
  const auto valid = message::check_schema(out.envelope.type, out.envelope.body);
  if (!valid) FAIL(valid.error().text());
  return out.envelope.body.at("sets");
}

}  // namespace

TEST_CASE(
    "an instruction to transfer says the engine that is not the stream, with or without a base") {
  const message::Body base{{"id", kRun}, {"sets", {"plain", "large", "some", "lines"}}};
  for (const std::string mode : {"push", "pull"}) {
    for (const auto& built_on : {std::optional<message::Body>{}, std::optional{base}}) {
      const auto sets = sets_to_transfer(mode, built_on);
      REQUIRE(sets.size() == 4);
      CHECK_FALSE(sets[0].contains("engine"));
      CHECK(sets[1].at("engine") == "distcp");
      CHECK(sets[2].at("engine") == "auto");
      CHECK(sets[3].at("engine") == "exportsnapshot");
      CHECK(sets[1].at("on_base_lost") == "fail");
      CHECK_FALSE(sets[2].contains("on_base_lost"));
      for (const auto& set : sets) CHECK(set.contains("base") == built_on.has_value());
    }
  }
}
