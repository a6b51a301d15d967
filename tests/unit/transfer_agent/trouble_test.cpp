// Surroundings that fail: a clear error, nothing left behind, and the next run works.
#include <cstdlib>

#include "tests/unit/transfer_agent/site.hpp"

using namespace lockstep;
using test::Body;
using test::noise;
using test::TransferSite;
using test::write_file;
namespace fs = std::filesystem;

TEST_CASE("a peer that is not there ends as stalled or lost, in time") {
  TransferSite site;
  site.start("north-transfer");
  site.stall = seconds(2);
  const std::string run = site.new_run();
  site.pin(run, "files");
  const auto result = site.transfer(run, {"files"});
  REQUIRE_FALSE(result);
  CHECK((result.error().code == ErrorCode::stream_peer_lost ||
         result.error().code == ErrorCode::stalled));
  site.start("south-transfer");
  CHECK(site.transfer(run, {"files"}, "", true, 2));
}

TEST_CASE("a pin that is gone is named, and the other sets of the run stop") {
  TransferSite site;
  site.start("north-transfer");
  site.start("south-transfer");
  const std::string run = site.new_run();
  site.pin(run, "files");
  site.pin(run, "ledger");
  component::Context context;
  context.run = run;
  auto& version = site.pins.at({run, "ledger"});
  REQUIRE(site.components.find("sqlite")->snapshots()->drop(context, version));
  const auto result = site.transfer(run, {"files", "ledger"});
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::version_missing);
  REQUIRE(site.drop("south-transfer", run, {"files", "ledger"}));
  REQUIRE(site.drop("north-transfer", run, {"files", "ledger"}));
  CHECK(site.traces("south", run).empty());
}

TEST_CASE("the target's disk is full: no-space, nothing partial is left, and the next run works") {
  TransferSite site;
  if (!site.mount->mounted()) {
    WARN("skipped: it needs a file system of its own");
    return;
  }
  site.start("north-transfer");
  site.start("south-transfer");
  write_file(site.north("/files/large"), noise(300 << 20, 3));
  write_file(site.top + "/filler", noise(400 << 20, 4));
  const std::string run = site.new_run();
  site.pin(run, "files");
  const auto began = site.clock->mono();
  const auto result = site.transfer(run, {"files"});
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::no_space);
  CHECK((site.clock->mono() - began) < seconds(30));
  fs::remove(site.top + "/filler");
  REQUIRE(site.drop("south-transfer", run, {"files"}));
  CHECK(site.traces("south", run).empty());
  fs::remove(site.north("/files/large"));
  // btrfs gives the space of a removed subvolume back by and by.
  REQUIRE(std::system(("sync -f " + site.top + " && btrfs subvolume sync " + site.top).c_str()) ==
          0);
  CHECK(site.independent_problems(site.make_point({"files"})).empty());
}

TEST_CASE("drop removes a run's manifests, whole and partial, which no row of the journal names") {
  TransferSite site;
  site.start("south-transfer");
  const std::string run = site.new_run();
  const std::string directory = site.top + "/south/.lockstep/manifests/orders/files";
  fs::create_directories(directory);
  write_file(directory + "/" + run + ".manifest", "whole");
  write_file(directory + "/" + run + ".manifest.part", "partial");
  write_file(directory + "/" + site.new_run() + ".manifest.part", "of another run");
  REQUIRE(site.drop("south-transfer", run, {"files"}));
  CHECK(site.traces("south", run).empty());
  CHECK_FALSE(fs::is_empty(directory));
}

TEST_CASE("who may not ask is refused, and a set of other clusters too") {
  TransferSite site;
  site.start("south-transfer");
  site.start("north-transfer");
  const std::string run = site.new_run();
  site.pin(run, "files");
  // The south does not send what lies in the north.
  Body one = site.set("files");
  const auto& version = site.pins.at({run, "files"});
  one["version"] = {
      {"component", version.component}, {"name", version.name}, {"native", version.native}};
  const Body instruction{{"service", "orders"},
                         {"moment", to_rfc3339(site.clock->utc())},
                         {"policy_version", 1},
                         {"peer", "north-transfer"},
                         {"bandwidth", 0},
                         {"compress", true},
                         {"stall_ns", 1'000'000'000},
                         {"sets", Body::array({one})}};
  const auto wrong = site.call("south-transfer", "instruction.push", run, "transfer", instruction);
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().code == ErrorCode::identity_wrong);

  auto user = site.site.directory("user");
  REQUIRE(user);
  site.directory = *user;
  const auto refused =
      site.call("north-transfer", "instruction.push", run, "transfer", instruction);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::role_refused);
  CHECK(site.call("south-transfer", "point.list", "", "", Body::object()));
}
