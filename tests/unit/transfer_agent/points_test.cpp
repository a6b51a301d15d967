// Points made by two agents as processes: transferred, sealed, read, verified, restored, deleted.
#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>

#include "tests/unit/transfer_agent/site.hpp"

using namespace lockstep;
using test::Body;
using test::noise;
using test::read_text;
using test::TransferSite;
using test::write_file;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kBoth{"files", "ledger"};

Body must(Result<Body> result) {
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}

ErrorCode code_of(const Result<Body>& result) {
  REQUIRE_FALSE(result);
  return result.error().code;
}

}  // namespace

TEST_CASE("a point of files and a database, by push and by pull, is what its record says") {
  const bool push = GENERATE(true, false);
  TransferSite site;
  site.start("north-transfer");
  site.start("south-transfer");
  const std::string first = site.make_point(kBoth, "", push);
  CHECK(site.independent_problems(first).empty());

  write_file(site.north("/files/deep/b"), noise(300'000, 2));
  write_file(site.north("/files/new"), "new");
  fs::remove(site.north("/files/link"));
  {
    SQLite::Database ledger(site.north("/ledger.db"), SQLite::OPEN_READWRITE);
    ledger.exec("INSERT INTO orders (what) VALUES ('three')");
  }
  const std::string second = site.make_point(kBoth, first, push);
  CHECK(site.independent_problems(first).empty());
  CHECK(site.independent_problems(second).empty());

  const Body list = must(site.call("south-transfer", "point.list", "", "", Body::object()));
  REQUIRE(list.at("points").size() == 2);
  CHECK(list.at("points")[0].at("id") == second);
  CHECK(list.at("points")[0].at("sets") == Body(kBoth));
  const Body record =
      must(site.call("south-transfer", "point.read", "", "", {{"id", second}})).at("record");
  CHECK(record.at("lineage").at("base") == first);
  CHECK(Body::parse(read_text(site.record_path(second))) == record);

  const Body entries =
      must(site.call("south-transfer", "point.entries", "", "",
                     {{"id", second}, {"set", "files"}, {"path", ""}, {"limit", 2}}));
  CHECK(entries.at("entries").size() == 2);
  CHECK(entries.at("more") == true);
  CHECK(entries.at("entries")[0].at("path") == "a");
  CHECK(code_of(site.call("south-transfer", "point.entries", "", "",
                          {{"id", second}, {"set", "files"}, {"path", "no"}, {"limit", 2}})) ==
        ErrorCode::not_found);

  const Body verified =
      must(site.call("south-transfer", "point.verify", "", "", {{"id", first}, {"sample", 100}}));
  INFO(verified.dump());
  CHECK(verified.at("ok") == true);
  const Body again =
      must(site.call("south-transfer", "point.list", "", "", {{"service", "orders"}}));
  CHECK(again.at("points")[1].at("verified_ok") == true);

  const std::string to = site.top + "/restored";
  const Body restored = must(site.call("south-transfer", "point.restore", "", "",
                                       {{"id", first},
                                        {"to", to},
                                        {"in_place", false},
                                        {"replace", false},
                                        {"sets", Body::array()},
                                        {"path", ""}}));
  CHECK(restored.at("sets").size() == 2);
  CHECK(read_text(to + "/files/a") == "first");
  CHECK(read_text(to + "/files/deep/b") == noise(300'000, 1));
  CHECK(fs::read_symlink(to + "/files/link") == "a");
  CHECK(fs::hard_link_count(to + "/files/a") == 2);
  SQLite::Database ledger(to + "/ledger", SQLite::OPEN_READONLY);
  CHECK(ledger.execAndGet("SELECT COUNT(*) FROM orders").getInt() == 2);
}

TEST_CASE("a damaged version is found out, named, and never the newest good point") {
  TransferSite site;
  site.start("north-transfer");
  site.start("south-transfer");
  const std::string first = site.make_point({"files"});
  const std::string second = site.make_point({"files"}, first);
  write_file(site.north("/files/a"), "other");
  const std::string third = site.make_point({"files"}, second);
  const Body record = Body::parse(read_text(site.record_path(third)));
  const std::string kept = record.at("sets")[0].at("path").get<std::string>();
  if (site.mount->mounted()) {
    REQUIRE(std::system(
                ("btrfs property set -f " + fs::canonical(kept).string() + " ro false").c_str()) ==
            0);
  }
  write_file(kept + "/a", "OTHER");
  const Body verified =
      must(site.call("south-transfer", "point.verify", "", "", {{"id", third}, {"sample", 100}}));
  CHECK(verified.at("ok") == false);
  CHECK(verified.at("sets")[0].at("problems").size() >= 1);

  // The one before it is the newest good one now, and guarded; the damaged one may go.
  const auto remove = [&](const std::string& id, bool even_newest) {
    return site.call("south-transfer", "point.delete", "", "",
                     {{"id", id}, {"service", "orders"}, {"even_newest", even_newest}});
  };
  CHECK(code_of(remove(second, false)) == ErrorCode::point_last);
  must(remove(third, false));
  must(remove(first, false));
  CHECK(code_of(remove(first, false)) == ErrorCode::point_missing);
  CHECK(site.independent_problems(second).empty());
  CHECK(code_of(remove(second, false)) == ErrorCode::point_last);
  must(remove(second, true));
  for (const auto& id : {first, second, third}) CHECK(site.traces("south", id).empty());
}

TEST_CASE("a young point is locked, whoever asks") {
  TransferSite site("1h");
  site.start("north-transfer");
  site.start("south-transfer");
  const std::string point = site.make_point({"files"});
  const auto refused = site.call("south-transfer", "point.delete", "", "",
                                 {{"id", point}, {"service", "orders"}, {"even_newest", true}});
  CHECK(code_of(refused) == ErrorCode::point_locked);
  CHECK(fs::exists(site.record_path(point)));
}

TEST_CASE("the same seal gets the same answer; one that does not fit is refused for ever") {
  TransferSite site;
  site.start("north-transfer");
  site.start("south-transfer");
  const std::string run = site.new_run();
  site.pin(run, "files");
  const Body transferred = must(site.transfer(run, {"files"}));
  const Body sealed = must(site.seal(run, transferred));
  CHECK(must(site.seal(run, transferred, 1)) == sealed);
  CHECK(must(site.seal(run, transferred, 2)) == sealed);

  const std::string bad = site.new_run();
  site.pin(bad, "files");
  Body wrong = must(site.transfer(bad, {"files"}));
  wrong.at("sets")[0]["root"] = std::string(64, '0');
  CHECK(must(site.seal(bad, wrong)).at("state") == "refused");
  wrong = must(site.transfer(bad, {"files"}, "", true, 1));  // the stored reply, which is right
  CHECK(must(site.seal(bad, wrong, 2)).at("state") == "refused");
  CHECK_FALSE(fs::exists(site.record_path(bad)));
  must(site.drop("south-transfer", bad, {"files"}));
  must(site.drop("north-transfer", bad, {"files"}));
  CHECK(site.traces("south", bad).empty());
  CHECK(site.traces("north", bad).empty());

  // Of a run of which nothing was ever received.
  const std::string never = site.new_run();
  CHECK(must(site.seal(never, transferred)).at("state") == "refused");
}

TEST_CASE("after a drop nothing of the run is taken any more; a point is not dropped") {
  TransferSite site;
  site.start("north-transfer");
  site.start("south-transfer");
  const std::string run = site.new_run();
  site.pin(run, "files");
  must(site.drop("south-transfer", run, {"files"}));
  CHECK(code_of(site.transfer(run, {"files"})) == ErrorCode::pin_dropped);
  must(site.drop("north-transfer", run, {"files"}));
  CHECK(code_of(site.transfer(run, {"files"}, "", true, 2)) == ErrorCode::pin_dropped);
  CHECK(site.traces("south", run).empty());

  const std::string point = site.make_point({"files"});
  CHECK(code_of(site.drop("south-transfer", point, {"files"})) == ErrorCode::guard);
  CHECK(site.independent_problems(point).empty());
}

TEST_CASE("under an older epoch nothing is sealed, for ever; a newer one is kept") {
  TransferSite site;
  site.start("north-transfer");
  site.start("south-transfer");
  const std::string run = site.new_run();
  site.pin(run, "files");
  const Body transferred = must(site.transfer(run, {"files"}));
  const message::Epoch old = site.epoch;
  const message::Epoch newer{old.number + 1, "01936f3a-5b00-7000-8000-0000000000ff"};
  site.epoch = newer;
  must(site.call("south-transfer", "transfer.keep", run, "keep", {{"service", "orders"}}));
  site.epoch = old;
  CHECK(code_of(site.transfer(run, {"files"}, "", true, 2)) == ErrorCode::epoch_old);
  CHECK(must(site.seal(run, transferred)).at("state") == "refused");
  CHECK_FALSE(fs::exists(site.record_path(run)));
  site.kill("south-transfer");
  site.start("south-transfer");
  CHECK(must(site.seal(run, transferred, 2)).at("state") == "refused");
  // Not under an epoch that contradicts the one held, and not under that one either: it is over.
  site.epoch = {newer.number, "01936f3a-5b00-7000-8000-000000000001"};
  CHECK(must(site.seal(run, transferred, 3)).at("state") == "refused");
  site.epoch = newer;
  CHECK(must(site.seal(run, transferred, 4)).at("state") == "refused");
  CHECK_FALSE(fs::exists(site.record_path(run)));
  const std::string point = site.make_point({"files"});
  CHECK(site.independent_problems(point).empty());
}

TEST_CASE(
    "what was sealed before the epoch was raised stands, and is said so under the older one") {
  TransferSite site;
  site.start("north-transfer");
  site.start("south-transfer");
  const std::string run = site.new_run();
  site.pin(run, "files");
  const Body transferred = must(site.transfer(run, {"files"}));
  const message::Epoch old = site.epoch;
  const Body sealed = must(site.seal(run, transferred));
  CHECK(sealed.at("state") == "sealed");
  site.epoch = {old.number + 1, "01936f3a-5b00-7000-8000-0000000000ff"};
  must(site.call("south-transfer", "transfer.keep", run, "keep", {{"service", "orders"}}));
  site.epoch = old;
  CHECK(must(site.seal(run, transferred, 2)) == sealed);
}

TEST_CASE("restoring in place is guarded, and keeps what was there") {
  TransferSite site;
  site.start("north-transfer");
  site.start("south-transfer");
  const std::string point = site.make_point({"files"});
  const std::string live = site.top + "/south/orders/files";
  write_file(live + "/a", "the standby's own");
  Body wish{
      {"id", point}, {"in_place", true}, {"replace", false}, {"sets", {"files"}}, {"path", ""}};
  CHECK(code_of(site.call("south-transfer", "point.restore", "", "", wish)) == ErrorCode::guard);
  wish["replace"] = true;
  const Body restored = must(site.call("south-transfer", "point.restore", "", "", wish));
  CHECK(read_text(live + "/a") == "first");
  const std::string aside = restored.at("sets")[0].at("moved_aside").get<std::string>();
  CHECK(read_text(aside + "/a") == "the standby's own");
  Body into_store{{"id", point},       {"to", site.top + "/south/.lockstep/points"},
                  {"in_place", false}, {"replace", true},
                  {"sets", {"files"}}, {"path", ""}};
  CHECK(code_of(site.call("south-transfer", "point.restore", "", "", into_store)) ==
        ErrorCode::target_overlaps);
}
