// Agents killed at every place that matters; the next start looks up what is there.
#include <chrono>
#include <future>
#include <thread>

#include "tests/unit/transfer_agent/site.hpp"

using namespace lockstep;
using namespace std::chrono_literals;
using test::Body;
using test::noise;
using test::TransferSite;
using test::write_file;
namespace fs = std::filesystem;

namespace {

Body must(Result<Body> result) {
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}

std::size_t events_of(TransferSite& site, const std::string& type) {
  const Body answer =
      must(site.call("south-transfer", "events.since", "", "", {{"sequence", 0}, {"limit", 1000}}));
  std::size_t count = 0;
  for (const auto& event : answer.at("events")) count += event.at("type") == type ? 1 : 0;
  return count;
}

// Waits until so many bytes of a staging have arrived at the south.
void wait_for_bytes(const TransferSite& site, std::uintmax_t bytes) {
  for (int i = 0; i < 600; ++i) {
    std::uintmax_t sum = 0;
    std::error_code ignored;
    for (fs::recursive_directory_iterator at(site.top + "/south", ignored), end; at != end;
         at.increment(ignored)) {
      if (at->is_regular_file(ignored)) sum += at->file_size(ignored);
    }
    if (sum >= bytes) return;
    std::this_thread::sleep_for(50ms);
  }
  FAIL("the transfer did not move");
}

}  // namespace

TEST_CASE("the registrar dies while sealing: the point is or is not, and the next seal makes it") {
  const std::string place =
      GENERATE("seal.intent.before", "seal.intent.after", "seal.before_record", "seal.part_written",
               "seal.after_record", "seal.done.before", "seal.done.after");
  CAPTURE(place);
  TransferSite site;
  site.start("north-transfer");
  site.start("south-transfer", {{"LOCKSTEP_FAILPOINT", place}});
  const std::string run = site.new_run();
  site.pin(run, "files");
  const Body transferred = must(site.transfer(run, {"files"}));
  CHECK_FALSE(site.call("south-transfer", "point.seal", run, "seal",
                        site.seal_body(run, transferred), 1, seconds(2)));
  REQUIRE(site.wait_for_end("south-transfer") == 137);
  const bool was_there = fs::exists(site.record_path(run));

  site.start("south-transfer");
  CHECK(fs::exists(site.record_path(run)) == was_there);
  CHECK_FALSE(fs::exists(site.record_path(run) + ".part"));
  CHECK(events_of(site, "point.sealed") == (was_there ? 1 : 0));
  CHECK(must(site.seal(run, transferred, 2)).at("state") == "sealed");
  CHECK(events_of(site, "point.sealed") == 1);
  CHECK(site.independent_problems(run).empty());
}

TEST_CASE("the registrar dies while deleting: the point is gone whole") {
  const std::string place =
      GENERATE("delete.intent.after", "delete.record_removed", "delete.done.before");
  CAPTURE(place);
  TransferSite site;
  site.start("north-transfer");
  site.start("south-transfer", {{"LOCKSTEP_FAILPOINT", place}});
  const std::string point = site.make_point({"files", "ledger"});
  CHECK_FALSE(site.call("south-transfer", "point.delete", "", "",
                        {{"id", point}, {"service", "orders"}, {"even_newest", true}}, 1,
                        seconds(2)));
  REQUIRE(site.wait_for_end("south-transfer") == 137);
  site.start("south-transfer");
  CHECK(site.traces("south", point).empty());
  CHECK(events_of(site, "point.deleted") == 1);
}

TEST_CASE("either side is killed in the middle of a transfer, and the same instruction ends it") {
  const std::string victim = GENERATE("north-transfer", "south-transfer");
  const bool push = GENERATE(true, false);
  CAPTURE(victim, push);
  TransferSite site;
  site.start("north-transfer");
  site.start("south-transfer");
  write_file(site.north("/files/large"), noise(48 << 20, 7));
  site.bandwidth = 12 << 20;
  const std::string run = site.new_run();
  site.pin(run, "files");
  auto transferred =
      std::async(std::launch::async, [&] { return site.transfer(run, {"files"}, "", push); });
  wait_for_bytes(site, 20 << 20);
  site.kill(victim);
  std::this_thread::sleep_for(200ms);
  site.start(victim);
  const Body done = must(transferred.get());
  CHECK(done.at("sets")[0].at("bytes_resent").get<std::uint64_t>() <= (17 << 20));
  CHECK(must(site.seal(run, done)).at("state") == "sealed");
  CHECK(site.independent_problems(run).empty());
}

TEST_CASE("a run that is dropped in the middle of its transfer leaves nothing") {
  TransferSite site;
  site.start("north-transfer");
  site.start("south-transfer");
  write_file(site.north("/files/large"), noise(48 << 20, 7));
  site.bandwidth = 8 << 20;
  const std::string run = site.new_run();
  site.pin(run, "files");
  auto transferred = std::async(std::launch::async, [&] { return site.transfer(run, {"files"}); });
  wait_for_bytes(site, 8 << 20);
  must(site.drop("south-transfer", run, {"files"}));
  must(site.drop("north-transfer", run, {"files"}));
  CHECK_FALSE(transferred.get());
  CHECK(site.traces("south", run).empty());
  CHECK(site.traces("north", run).empty());
  CHECK(site.independent_problems(site.make_point({"files"})).empty());
}

TEST_CASE("a drop that died after its tombstone is finished at the next start") {
  TransferSite site;
  site.start("north-transfer");
  site.start("south-transfer", {{"LOCKSTEP_FAILPOINT", "drop.tombstone.after"}});
  const std::string run = site.new_run();
  site.pin(run, "files");
  const Body transferred = must(site.transfer(run, {"files"}));
  CHECK_FALSE(site.call("south-transfer", "transfer.drop", run, "drop-transfer",
                        {{"service", "orders"}, {"sets", Body::array({site.set("files")})}}, 1,
                        seconds(2)));
  REQUIRE(site.wait_for_end("south-transfer") == 137);
  CHECK_FALSE(site.traces("south", run).empty());
  site.start("south-transfer");
  CHECK(site.traces("south", run).empty());
  CHECK(must(site.seal(run, transferred)).at("state") == "refused");
}

TEST_CASE("an agent whose journal is lost keeps its points and clears away the rest") {
  TransferSite site;
  site.start("north-transfer");
  site.start("south-transfer");
  const std::string point = site.make_point({"files"});
  write_file(site.north("/files/large"), noise(48 << 20, 7));
  site.bandwidth = 8 << 20;
  const std::string run = site.new_run();
  site.pin(run, "files");
  auto transferred = std::async(std::launch::async, [&] { return site.transfer(run, {"files"}); });
  wait_for_bytes(site, 8 << 20);
  site.kill("south-transfer");
  must(site.drop("north-transfer", run, {"files"}));
  CHECK_FALSE(transferred.get());
  CHECK_FALSE(site.traces("south", run).empty());
  for (const char* end : {"", "-wal"})
    fs::remove(site.state / ("south-transfer.db" + std::string(end)));

  site.start("south-transfer");
  CHECK(site.traces("south", run).empty());
  CHECK(site.independent_problems(point).empty());
  site.bandwidth = 0;
  fs::remove(site.north("/files/large"));
  const std::string next = site.make_point({"files"}, point);
  const Body record = Body::parse(test::read_text(site.record_path(next)));
  CHECK(record.at("lineage").at("base") ==
        point);  // found by the record, though no row tells of it
}
