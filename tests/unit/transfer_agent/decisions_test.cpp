// What is decided without surroundings: guards, seals, clusters, openings, places of restoring.
#include <catch2/catch.hpp>

#include "services/transfer-agent/epoch.hpp"
#include "services/transfer-agent/guards.hpp"
#include "services/transfer-agent/job.hpp"
#include "services/transfer-agent/restore.hpp"
#include "services/transfer-agent/sets.hpp"

using namespace lockstep;
using namespace lockstep::transfer;
using message::Body;

namespace {

constexpr UtcNanos at(std::int64_t second) { return {second * 1'000'000'000}; }

SealFacts fitting(const std::string& name) {
  SealFacts facts;
  facts.name = name;
  facts.wanted_root = facts.certified_root = std::string(64, 'a');
  facts.root = facts.wanted_root;
  facts.wanted_entries = facts.entries = 3;
  facts.wanted_bytes = facts.bytes = 10;
  return facts;
}

Body set(const std::string& from, const std::string& to) {
  const auto side = [](const std::string& cluster) {
    return Body{{"cluster", cluster},
                {"component", "files"},
                {"location", "/srv"},
                {"options", Body::object()}};
  };
  return {{"name", "files"},
          {"agent", "a"},
          {"from", side(from)},
          {"to", side(to)},
          {"fence", {{"kind", "none"}, {"hook", ""}, {"cgroup", ""}, {"timeout_ns", 1}}},
          {"refers_to", Body::array()},
          {"exclude", Body::array()},
          {"allow_writer_stall", false},
          {"version", {{"component", "files"}, {"name", "r"}, {"native", "n"}}}};
}

Job job() {
  Job out;
  out.run = "01936f3a-5b00-7000-8000-000000000009";
  out.epoch = {3, "01936f3a-5b00-7000-8000-000000000001"};
  out.deadline = seconds(7);
  out.instruction = {{"service", "orders"}, {"moment", "2026-11-21T02:00:00Z"},
                     {"policy_version", 1}, {"peer", "south-transfer"},
                     {"bandwidth", 0},      {"compress", true},
                     {"stall_ns", 5},       {"sets", Body::array({set("north", "south")})}};
  return out;
}

transport::Directory south() {
  transport::Directory directory;
  const auto add = [&](const char* name, transport::Role role, const char* cluster) {
    transport::Party party;
    party.name = name;
    party.role = role;
    party.cluster = cluster;
    directory.parties[name] = party;
  };
  add("north-transfer", transport::Role::transfer_agent, "north");
  add("west-transfer", transport::Role::transfer_agent, "west");
  add("north-snapshot", transport::Role::snapshot_agent, "north");
  add("south-transfer", transport::Role::transfer_agent, "south");
  directory.self = "south-transfer";
  return directory;
}

}  // namespace

TEST_CASE("a data set of which the instruction names no engine is the stream's") {
  Body one = set("north", "south");
  CHECK(engine_of(one) == Engine::stream);
  for (const char* engine : {"distcp", "exportsnapshot"}) {
    one["engine"] = engine;
    CHECK(engine_of(one) == Engine::always);
  }
  one["engine"] = "auto";
  CHECK(engine_of(one) == Engine::at_will);
}

TEST_CASE("deleting: the lock, the newest good point, points that are not there") {
  const std::vector<PointFacts> points{
      {"a", at(10), at(11), false}, {"b", at(20), at(21), false}, {"c", at(30), at(31), true}};
  const auto code = [&](const std::string& id, std::int64_t now, bool even_newest) {
    const auto result = may_delete(points, id, at(now), seconds(100), even_newest);
    return result ? ErrorCode{} : result.error().code;
  };
  CHECK(code("x", 1000, true) == ErrorCode::point_missing);
  CHECK(code("a", 110, false) == ErrorCode::point_locked);
  CHECK(code("a", 111, false) == ErrorCode{});
  CHECK(code("b", 1000, false) == ErrorCode::point_last);  // c is newer, but bad
  CHECK(code("b", 1000, true) == ErrorCode{});
  CHECK(code("b", 120, true) == ErrorCode::point_locked);
  CHECK(code("c", 1000, false) == ErrorCode{});
}

TEST_CASE("deleting: of two points of one moment the later sealed is the newest") {
  const std::vector<PointFacts> points{{"a", at(10), at(12), false}, {"b", at(10), at(11), false}};
  CHECK(may_delete(points, "b", at(99), {0}, false));
  CHECK(may_delete(points, "a", at(99), {0}, false).error().code == ErrorCode::point_last);
}

TEST_CASE("sealing is refused by a tombstone and by every difference, with its reason") {
  CHECK_FALSE(seal_refusal({}, {fitting("a"), fitting("b")}));
  CHECK(seal_refusal("a user", {fitting("a")})->find("a user") != std::string::npos);
  auto facts = fitting("b");
  SECTION("nothing received") { facts.root.reset(); }
  SECTION("another root") { facts.root = std::string(64, 'b'); }
  SECTION("another number of entries") { facts.entries = 4; }
  SECTION("another number of bytes") { facts.bytes = 11; }
  SECTION("the certificate vouches for another root") { facts.certified_root.clear(); }
  const auto why = seal_refusal({}, {fitting("a"), facts});
  REQUIRE(why);
  CHECK(why->starts_with("b: "));
}

TEST_CASE("only the cluster that holds a set sends it, only its pair receives it") {
  const Body instruction = job().instruction;
  CHECK(check_clusters(instruction, Part::send, "north", "south"));
  CHECK(check_clusters(instruction, Part::receive, "south", "north"));
  CHECK_FALSE(check_clusters(instruction, Part::receive, "north", "south"));
  CHECK_FALSE(check_clusters(instruction, Part::send, "north", "west"));
  CHECK(check_clusters(instruction, Part::send, "south", "north").error().code ==
        ErrorCode::identity_wrong);
}

TEST_CASE("an opening carries the job, and one that lies is refused") {
  auto opening = opening_of(job(), stream::Opening::Kind::push);
  opening.peer = "north-transfer";
  const auto directory = south();
  const auto read = job_of(opening, directory);
  REQUIRE(read);
  CHECK(read->run == job().run);
  CHECK(read->epoch == job().epoch);
  CHECK(read->instruction == job().instruction);
  CHECK(read->deadline == seconds(7));

  SECTION("no MessagePack") { opening.body = "\xc1"; }
  SECTION("no map") { opening.body = message::pack_body(Body::array()); }
  SECTION("another set in its head") { opening.set = "ledger"; }
  SECTION("another service in its head") { opening.service = "ordersx"; }
  SECTION("no run") { opening.transfer = "../../etc"; }
  SECTION("a snapshot-agent") { opening.peer = "north-snapshot"; }
  SECTION("nobody of the site") { opening.peer = "mallory"; }
  SECTION("an instruction that its schema refuses") {
    auto bad = job();
    bad.instruction["sets"][0]["name"] = "../x";
    opening = opening_of(bad, stream::Opening::Kind::push);
    opening.peer = "north-transfer";
    opening.set = "../x";
  }
  CHECK(job_of(opening, directory).error().code == ErrorCode::stream_hostile);
}

TEST_CASE("an opening of another cluster's agent is refused") {
  auto opening = opening_of(job(), stream::Opening::Kind::push);
  opening.peer = "west-transfer";
  CHECK(job_of(opening, south()).error().code == ErrorCode::identity_wrong);
  opening.peer = "north-transfer";
  opening.kind = stream::Opening::Kind::fetch;  // the south does not hold it
  CHECK(job_of(opening, south()).error().code == ErrorCode::identity_wrong);
}

TEST_CASE("places of restoring") {
  const Body side_north{{"cluster", "north"}, {"component", "files"}, {"location", "/n/files"}};
  const Body side_south{{"cluster", "south"}, {"component", "files"}, {"location", "/s/files"}};
  const Body record{
      {"sets", Body::array({{{"name", "files"}}, {{"name", "more"}}})},
      {"certificate",
       {{"sets", Body::array({{{"name", "files"}, {"from", side_north}, {"to", side_south}}})}}}};
  const auto wish = [](const std::string& to, bool in_place, bool replace, Body sets) {
    Body out{{"in_place", in_place}, {"replace", replace}, {"sets", std::move(sets)}};
    if (!to.empty()) out["to"] = to;
    return out;
  };
  const auto code = [&](const Body& request) {
    const auto places = restore_places(record, request, "south", "/s");
    return places ? ErrorCode{} : places.error().code;
  };
  const auto all = restore_places(record, wish("/x", false, false, Body::array()), "south", "/s");
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  CHECK((*all)[1].place.location == "/x/more");
  const auto own = restore_places(record, wish("", true, true, {"files"}), "south", "/s");
  REQUIRE(own);
  CHECK((*own)[0].place.location == "/s/files");
  CHECK(code(wish("", true, false, {"files"})) == ErrorCode::guard);
  CHECK(code(wish("", true, true, {"more"})) == ErrorCode::not_found);
  CHECK(code(wish("/x", true, true, {"files"})) == ErrorCode::usage);
  CHECK(code(wish("", false, true, {"files"})) == ErrorCode::usage);
  CHECK(code(wish("x", false, true, {"files"})) == ErrorCode::usage);
  CHECK(code(wish("/x", false, true, {"no"})) == ErrorCode::not_found);
  CHECK(code(wish("/s/.lockstep/points", false, true, {"files"})) == ErrorCode::target_overlaps);
}
