#include <catch2/catch.hpp>

#include "common/policy/policy.hpp"

namespace lockstep::policy {
namespace {

DataSet files(const std::string& name, const std::string& path) {
  DataSet set;
  set.name = name;
  set.component = set.to.component = "files";
  set.place.location = path;
  return set;
}

DataSet hooked(const std::string& name, const std::string& path) {
  DataSet set = files(name, path);
  set.fence = {Fence::Kind::hook, "pause", "", seconds(5)};
  return set;
}

DataSet sqlite(const std::string& name, const std::string& path) {
  DataSet set = files(name, path);
  set.component = set.to.component = "sqlite";
  set.fence.kind = Fence::Kind::own_lock;
  return set;
}

Policy policy(std::vector<DataSet> sets, const std::string& service = "orders") {
  Policy out;
  out.service = service;
  out.retention.last = 3;
  out.data_sets = std::move(sets);
  return out;
}

// "where" of all errors, and of all warnings behind a '?'.
std::string wheres(const std::vector<Finding>& findings) {
  std::string out;
  for (const auto& finding : findings) {
    out += (out.empty() ? "" : " ") + finding.where + (finding.warning ? "?" : "");
  }
  return out;
}

TEST_CASE("fenced: all but one are fenced, and the one left is one instant") {
  CHECK(check(policy({hooked("a", "/a"), sqlite("b", "/b")})).empty());
  DataSet open_database = sqlite("b", "/b");
  open_database.fence.kind = Fence::Kind::none;
  CHECK(check(policy({hooked("a", "/a"), open_database})).empty());
  // Files may be one instant, on btrfs.
  CHECK(wheres(check(policy({files("a", "/a"), sqlite("b", "/b")}))) == "data_sets[0].fence?");
  CHECK(wheres(check(policy({files("a", "/a"), open_database}))) == "data_sets");
  Policy bounded = policy({files("a", "/a"), open_database});
  bounded.consistency = Consistency::bounded;
  CHECK(check(bounded).empty());
}

TEST_CASE("references: known, not to itself, without a circle") {
  auto a = hooked("a", "/a");
  auto b = hooked("b", "/b");
  auto c = hooked("c", "/c");
  a.refers_to = {"b"};
  b.refers_to = {"c"};
  CHECK(check(policy({a, b, c})).empty());
  c.refers_to = {"a"};
  const auto circle = check(policy({a, b, c}));
  REQUIRE(circle.size() == 1);
  CHECK(circle[0].what == "`refers_to` runs in a circle: a, b, c, a");
  c.refers_to = {"c"};
  CHECK(wheres(check(policy({a, b, c}))) == "data_sets[2].refers_to");
  c.refers_to = {"nobody"};
  CHECK(wheres(check(policy({a, b, c}))) == "data_sets[2].refers_to");
}

TEST_CASE("a long chain of references is followed without recursion") {
  std::vector<DataSet> sets;
  for (int i = 0; i < 1000; ++i) {
    sets.push_back(hooked("s" + std::to_string(i), "/s" + std::to_string(i)));
    if (i > 0) sets.back().refers_to = {"s" + std::to_string(i - 1)};
  }
  CHECK(check(policy(sets)).empty());
  sets.front().refers_to = {"s999"};
  CHECK(wheres(check(policy(sets))) == "data_sets");
}

TEST_CASE("pairs that cannot be") {
  auto tree = hooked("a", "/a");
  tree.to.component = "sqlite";
  CHECK(wheres(check(policy({tree}))) == "data_sets[0].to.component");
  auto database = sqlite("b", "/b");
  database.to.component = "files";
  CHECK(wheres(check(policy({database}))) == "data_sets[0].to.component");
}

TEST_CASE("what a component does not know") {
  auto lock = files("a", "/a");
  lock.fence.kind = Fence::Kind::own_lock;
  CHECK(wheres(check(policy({lock}))) == "data_sets[0].fence");
  auto database = sqlite("b", "/b");
  database.exclude = {"*.tmp"};
  CHECK(wheres(check(policy({database}))) == "data_sets[0].exclude");
  auto stall = hooked("a", "/a");
  stall.allow_writer_stall = true;
  CHECK(wheres(check(policy({stall}))) == "data_sets[0].allow_writer_stall");
  CHECK(wheres(check(policy({hooked("a", "relative")}))) == "data_sets[0].path");
}

TEST_CASE("an engine is for what it carries, on both sides") {
  using Engine = DataSet::Engine;
  const auto told = [](Engine engine, const std::string& from, const std::string& to) {
    DataSet set = hooked("trail", "/orders/trail");
    set.component = from;
    set.to.component = to;
    set.engine = engine;
    const auto findings = check(policy({set}));
    if (findings.empty()) return std::string("fits");
    CHECK(wheres(findings) == "data_sets[0].engine");
    return findings[0].what + "; " + findings[0].hint;
  };
  const std::string stream = "leave `engine` out: the stream carries it";
  for (const std::string kind : {"hdfs", "hbase", "files"}) {
    CHECK(told(Engine::stream, kind, kind) == "fits");
  }
  CHECK(told(Engine::distcp, "hdfs", "hdfs") == "fits");
  CHECK(told(Engine::exportsnapshot, "hbase", "hbase") == "fits");
  CHECK(told(Engine::automatic, "hdfs", "hdfs") == "fits");
  CHECK(told(Engine::automatic, "hbase", "hbase") == "fits");
  CHECK(told(Engine::distcp, "hbase", "hbase") ==
        "DistCp carries only `hdfs` that is kept as `hdfs`, not `hbase` as `hbase`; write `engine: "
        "exportsnapshot`, or " +
            stream);
  CHECK(told(Engine::exportsnapshot, "hdfs", "hdfs") ==
        "ExportSnapshot carries only `hbase`, not `hdfs` as `hdfs`; write `engine: distcp`, or " +
            stream);
  for (const auto& [from, to] :
       {std::pair{"hdfs", "files"}, std::pair{"files", "hdfs"}, std::pair{"files", "files"}}) {
    const std::string pair = std::string(", not `") + from + "` as `" + to + "`; ";
    CHECK(told(Engine::distcp, from, to) ==
          "DistCp carries only `hdfs` that is kept as `hdfs`" + pair + stream);
    CHECK(told(Engine::exportsnapshot, from, to) ==
          "ExportSnapshot carries only `hbase`" + pair + stream);
    CHECK(told(Engine::automatic, from, to) ==
          "engines carry only `hdfs` that is kept as `hdfs`, and `hbase`" + pair + stream);
  }
}

TEST_CASE("hdfs: what it does not know, and whose places its paths are") {
  DataSet trail = hooked("trail", "/srv/trail");
  trail.component = trail.to.component = "hdfs";
  CHECK(check(policy({trail})).empty());
  auto tree = trail;
  tree.to.component = "files";
  CHECK(check(policy({tree})).empty());
  tree.to.component = "sqlite";
  CHECK(wheres(check(policy({tree}))) == "data_sets[0].to.component");
  tree = trail;
  tree.exclude = {"*.tmp"};
  CHECK(wheres(check(policy({tree}))) == "data_sets[0].exclude");
  auto plain = hooked("plain", "/srv/trail");
  plain.place.options["allow_snapshot"] = "true";
  CHECK(wheres(check(policy({plain}))) == "data_sets[0].allow_snapshot");
  // A path of HDFS is none of the host's, and each cluster has an HDFS of its own.
  plain.place.options.clear();
  CHECK(check(policy({trail, plain})).empty());
  CHECK(target_location(trail, "/d/north", "/d/south") == "/srv/trail");
  Layout layout{
      {{"north", "/srv"}, {"south", "/d/south"}}, "north", true, {{"north", "south"}}, {}};
  CHECK(check_together({policy({trail})}, layout).empty());
  auto other = policy({trail});
  other.service = "other";
  CHECK(check_together({policy({trail}), other}, layout).size() == 2);
  layout.with_hdfs = {"north"};
  const auto missing = check_together({policy({trail})}, layout);
  REQUIRE(missing.size() == 1);
  CHECK(missing[0].what == "the cluster `south` has no `hdfs:` in lockstep.yaml");
}

TEST_CASE(
    "a directory of files is kept in HDFS and one of HDFS as files: each needs HDFS on one side") {
  DataSet papers = hooked("papers", "/srv/papers");
  papers.to.component = "hdfs";
  papers.place.options["allow_snapshot"] = papers.to.place.options["allow_snapshot"] = "true";
  CHECK(check(policy({papers})).empty());
  CHECK(target_location(papers, "/srv", "/d/south") == "/srv/papers");
  Layout layout{{{"north", "/srv/north"}, {"south", "/d/south"}}, "north", true, {{"south"}}, {}};
  CHECK(check_together({policy({papers})}, layout).empty());
  layout.with_hdfs = {"north"};
  auto missing = check_together({policy({papers})}, layout);
  REQUIRE(missing.size() == 1);
  CHECK(missing[0].where == "orders.data_sets[0].to.component");
  CHECK(missing[0].what == "the cluster `south` has no `hdfs:` in lockstep.yaml");
  DataSet trail = hooked("trail", "/srv/trail");
  trail.component = "hdfs";
  trail.to.component = "files";
  CHECK(check_together({policy({trail})}, layout).empty());
  CHECK(target_location(trail, "/srv", "/d/south") == "/d/south/trail");
  layout.with_hdfs = {"south"};
  missing = check_together({policy({trail})}, layout);
  REQUIRE(missing.size() == 1);
  CHECK(missing[0].where == "orders.data_sets[0].component");
}

TEST_CASE("hbase: how tables are named, and whose places these are") {
  DataSet lines = hooked("lines", "/orders/*");
  lines.component = lines.to.component = "hbase";
  CHECK(check(policy({lines})).empty());
  for (const char* path : {"/orders", "/orders/a/b"}) {
    auto bad = lines;
    bad.place.location = path;
    CHECK(wheres(check(policy({bad}))) == "data_sets[0].path");
  }
  auto renamed = lines;
  renamed.to.place.location = "/orders/x";
  CHECK(wheres(check(policy({renamed}))) == "data_sets[0].to.path");
  renamed.to.place.location = lines.place.location;
  CHECK(check(policy({renamed})).empty());
  auto tree = lines;
  tree.to.component = "hdfs";
  CHECK(wheres(check(policy({tree}))) == "data_sets[0].to.component");
  // Its pin is never one instant: a set without a fence is refused.
  auto free = lines;
  free.fence = {};
  CHECK(wheres(check(policy({free}))) == "data_sets[0].fence");
  // Names of tables have nothing to do with paths of HDFS.
  auto trail = hooked("trail", "/orders/*");
  trail.component = trail.to.component = "hdfs";
  CHECK(check(policy({lines, trail})).empty());
  Layout layout{
      {{"north", "/srv"}, {"south", "/d/south"}}, "north", true, {{"north", "south"}}, {{"south"}}};
  const auto missing = check_together({policy({lines})}, layout);
  REQUIRE(missing.size() == 1);
  CHECK(missing[0].what == "the cluster `north` has no `hbase:` in lockstep.yaml");
}

TEST_CASE("places of one policy do not overlap, unless the outer one leaves the inner one out") {
  CHECK(wheres(check(policy({hooked("a", "/srv"), hooked("b", "/srv")}))) == "data_sets[1].path");
  CHECK(wheres(check(policy({hooked("a", "/srv"), hooked("a", "/srvx")}))) == "data_sets[1].name");
  auto outer = hooked("a", "/srv/orders");
  const auto inner = sqlite("b", "/srv/orders/db/ledger.db");
  CHECK(wheres(check(policy({inner, outer}))) == "data_sets[0].path");
  for (const char* pattern :
       {"/db/", "db", "/db/ledger.db*", "ledger.db*", "*.db", "/*/ledger.db"}) {
    INFO(pattern);
    outer.exclude = {pattern};
    CHECK(check(policy({inner, outer})).empty());
  }
  for (const char* pattern : {"/ledger.db", "*.db/", "/db/x", "**/ledger.db", "d"}) {
    INFO(pattern);
    outer.exclude = {pattern};
    CHECK(wheres(check(policy({inner, outer}))) == "data_sets[0].path");
  }
  // Two agents: two hosts, as far as a policy can say.
  auto here = hooked("a", "/srv");
  auto there = hooked("b", "/srv");
  here.agent = "north-one";
  there.agent = "north-two";
  CHECK(check(policy({here, there})).empty());
}

TEST_CASE("an rpo that the schedule cannot keep is told") {
  Policy nightly = policy({hooked("a", "/a")});
  nightly.rpo = seconds(26 * 3600);
  CHECK(wheres(check(nightly)) == "rpo?");  // no schedule at all
  nightly.schedule.cron = "0 2 * * *";
  nightly.schedule.zone = "Europe/Paris";
  CHECK(check(nightly).empty());
  nightly.rpo = seconds(24 * 3600);  // the day on which summer time ends has 25 hours
  CHECK(wheres(check(nightly)) == "rpo?");
  nightly.schedule.cron = "0 2 * * mon-fri";
  nightly.rpo = seconds(71 * 3600);
  CHECK(wheres(check(nightly)) == "rpo?");
  nightly.rpo = seconds(73 * 3600);
  CHECK(check(nightly).empty());
}

TEST_CASE("without retention a warning says that nothing is pruned") {
  Policy one = policy({hooked("a", "/a")});
  one.retention = {};
  CHECK(wheres(check(one)) == "retention?");
}

const Layout kOneHost{{{"north", "/d/north"}, {"south", "/d/south"}}, "north", true, {}, {}};
const Layout kTwoHosts{{{"north", "/srv"}, {"south", "/srv"}}, "north", false, {}, {}};

TEST_CASE("where the other side of a pair lies") {
  auto set = files("a", "/d/north/orders/invoices");
  CHECK(target_location(set, "/d/north", "/d/south") == "/d/south/orders/invoices");
  set.place.location = "/srv/orders";
  CHECK(target_location(set, "/d/north", "/d/south") == "/d/south/srv/orders");
  set.place.location = "/d/northern";
  CHECK(target_location(set, "/d/north", "/d/south") == "/d/south/d/northern");
  set.to.place.location = "/x";
  CHECK(target_location(set, "/d/north", "/d/south") == "/x");
}

TEST_CASE("two services do not claim one place, or a place inside the other's") {
  const auto orders = policy({hooked("a", "/srv/orders")});
  CHECK(check_together({orders, policy({hooked("a", "/srv/bills")}, "bills")}, kOneHost).empty());
  const auto same =
      check_together({orders, policy({hooked("x", "/srv/orders")}, "bills")}, kOneHost);
  REQUIRE(same.size() == 2);  // the sources, and so the targets
  CHECK(same[0].where == "bills.data_sets[0].path");
  CHECK(same[0].what == "`/srv/orders` (bills) is also `/srv/orders` (orders)");
  CHECK(same[1].where == "bills.data_sets[0].to.path");
  const auto inside =
      check_together({orders, policy({hooked("x", "/srv/orders/new")}, "bills")}, kOneHost);
  REQUIRE_FALSE(inside.empty());
  CHECK(inside[0].what == "`/srv/orders/new` (bills) lies inside `/srv/orders` (orders)");
  const auto around = check_together({orders, policy({hooked("x", "/srv")}, "bills")}, kOneHost);
  REQUIRE_FALSE(around.empty());
  CHECK(around[0].what == "`/srv` (bills) holds `/srv/orders` (orders)");
}

TEST_CASE("a target does not overlap a source on the same machine") {
  auto set = hooked("a", "/srv/orders");
  set.to.place.location = "/srv/orders/backup";
  const auto nested = check_together({policy({set})}, kOneHost);
  REQUIRE(nested.size() == 1);
  CHECK(nested[0].where == "orders.data_sets[0].to.path");
  set.to.place.location = "/srv/orders";
  CHECK(check_together({policy({set})}, kOneHost).size() == 1);
  set.place.location = "/data/orders";
  set.to.place.location = "/data/orders";
  CHECK(check_together({policy({set})}, kTwoHosts).empty());  // the same place on the other machine
  // Two targets of one policy.
  auto one = hooked("a", "/srv/one");
  auto two = hooked("b", "/srv/two");
  one.to.place.location = "/standby";
  two.to.place.location = "/standby/two";
  CHECK(wheres(check_together({policy({one, two})}, kOneHost)) == "orders.data_sets[1].to.path");
}

TEST_CASE("nothing lies in, or around, Lockstep's own store") {
  CHECK(wheres(check_together({policy({hooked("a", "/d/north")})}, kOneHost))
            .find("orders.data_sets[0].path") == 0);
  CHECK(wheres(check_together({policy({hooked("a", "/d")})}, kOneHost))
            .find("orders.data_sets[0].path") == 0);
  CHECK(wheres(check_together({policy({hooked("a", "/d/north/.lockstep/points")})}, kOneHost))
            .find("orders.data_sets[0].path") == 0);
  CHECK(check_together({policy({hooked("a", "/d/north/orders")})}, kOneHost).empty());
}

TEST_CASE("a primary that is no cluster of the site") {
  Policy one = policy({hooked("a", "/srv/orders")});
  one.primary = "west";
  CHECK(wheres(check_together({one}, kOneHost)) == "orders.primary");
}

TEST_CASE("check: a drill is refused where no drill can bring a set up") {
  DataSet lines = files("lines", "/orders/lines");
  lines.component = lines.to.component = "hbase";
  lines.fence = {Fence::Kind::hook, "pause", "", seconds(5)};
  Policy wanted = policy({lines});
  const std::string without = wheres(check(wanted));
  CHECK(without.find("drill") == std::string::npos);
  wanted.drill = Drill{};
  wanted.drill->max_age = seconds(86400);
  CHECK(wheres(check(wanted)).find("drill") != std::string::npos);
  CHECK(wheres(check(wanted)).find("drill?") == std::string::npos);
}

}  // namespace
}  // namespace lockstep::policy
