// What the component hdfs refuses: of peers, of clusters, of places.
#include "tests/integration/hadoop/hdfs_world.hpp"

using namespace lockstep;
using namespace lockstep::on_clusters;

TEST_CASE("hdfs: a hostile peer gets nowhere") {
  World world;
  const std::string outside = world.top + "/outside";
  World::put_on(world.south, outside, "safe");
  auto staging = must(world.south.component->target()->stage(context_of(run_id(1)),
                                                             {world.target, std::nullopt, false}));
  const auto entry = [](const std::string& path, EntryKind kind) {
    Entry made;
    made.path = path;
    made.kind = kind;
    made.mode = 0644;
    made.size = kind == EntryKind::regular ? 4 : 0;
    made.xattrs = {{"hdfs.owner", "alice"}};
    return made;
  };
  const auto refused = [&](const Entry& bad, Action action = Action::create,
                           ErrorCode code = ErrorCode::stream_hostile) {
    INFO(bad.path);
    auto begun = staging->begin(bad, action);
    REQUIRE_FALSE(begun);
    CHECK(begun.error().code == code);
  };
  must(staging->begin(entry("", EntryKind::directory), Action::create));
  for (const char* path : {"../outside", "/evil", "a/../../outside", "./evil", "a//evil", "..",
                           "a/", ".snapshot/x", "a/.snapshot", "co:lon", "no\xff-utf8"}) {
    refused(entry(path, EntryKind::regular));
    refused(entry(path, EntryKind::directory));
  }
  for (const char* path : {"../outside", "/evil", "", ".."}) {
    CHECK(staging->remove(path).error().code == ErrorCode::stream_hostile);
  }
  refused(entry(std::string("nul\0name", 8), EntryKind::regular));
  // What comes from files may have such names, and whoever reads it is to know which.
  for (const char* path : {".snapshot/x", "a/.snapshot", "co:lon", "no\xff-utf8"}) {
    Entry foreign = entry(path, EntryKind::regular);
    foreign.xattrs.clear();
    refused(foreign, Action::create, ErrorCode::not_supported);
  }
  Entry further = entry("further", EntryKind::hard_link);
  further.link_target = "../outside";
  refused(further);
  refused(entry("none", EntryKind::regular), Action::patch);
  for (const char* name : {"hdfs.nothing", "user.lockstep.attempt", "trusted.lockstep.entry"}) {
    Entry odd = entry("odd", EntryKind::regular);
    for (const bool foreign : {false, true}) {
      odd.uid = foreign ? 1000 : 0;
      odd.xattrs = {{"hdfs.owner", "alice"}, {name, "x"}};
      refused(odd);
    }
  }
  must(staging->begin(entry("small", EntryKind::regular), Action::create));
  const std::array<std::byte, 8> bytes{};
  CHECK_FALSE(staging->write(0, bytes));
  CHECK_FALSE(staging->write(~std::uint64_t{0}, std::span(bytes).first(1)));
  must(staging->write(0, std::span(bytes).first(4)));
  CHECK_FALSE(staging->write(0, std::span(bytes).first(1)));
  must(staging->finish());
  must(staging->abandon());
  CHECK(must(world.south.user.status(outside)).length == 4);
  CHECK(must(world.south.component->target()->list(world.target)).empty());
}

TEST_CASE("hdfs: what is not allowed says what to do, and a directory of others is not taken") {
  World world;
  component::DataSet strict = world.set;
  strict.place.options.clear();
  CHECK(must(world.north.component->snapshots()->list(strict)).empty());
  CHECK_FALSE(must(world.north.component->snapshots()->find(context_of(run_id(1)), strict)));
  auto armed = world.north.component->snapshots()->arm(context_of(run_id(1)), strict,
                                                       world.north.clock->utc());
  REQUIRE_FALSE(armed);
  CHECK(armed.error().code == ErrorCode::arm_refused);
  CHECK(armed.error().hint.find("hdfs dfsadmin -allowSnapshot " + world.source) !=
        std::string::npos);

  World::put_on(world.south, world.target.place.location + "/precious", "mine");
  auto checked = world.south.component->target()->check(world.target, 0);
  REQUIRE_FALSE(checked);
  CHECK(checked.error().code == ErrorCode::target_overlaps);
  auto staged = world.south.component->target()->stage(context_of(run_id(1)),
                                                       {world.target, std::nullopt, false});
  REQUIRE_FALSE(staged);
  CHECK(must(world.south.user.status(world.target.place.location + "/precious")).length == 4);
  auto room = world.south.component->target()->check(world.target, ~std::uint64_t{0});
  CHECK_FALSE(room);

  INFO("a user without rights");
  hdfs::Settings nobody = world.north.settings;
  nobody.user = "nobody";
  const auto other = hdfs::make_hdfs(world.north.surroundings, nobody);
  must(world.north.user.set_mode(world.source, 0700));
  auto refused =
      other->snapshots()->arm(context_of(run_id(1)), world.set, world.north.clock->utc());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::permission);

  INFO("a cluster that is away");
  hdfs::Settings away = world.north.settings;
  away.namenodes = {"http://127.0.0.1:9"};
  away.patience = milliseconds(300);
  const auto gone = hdfs::make_hdfs(world.north.surroundings, away);
  auto unreached =
      gone->snapshots()->arm(context_of(run_id(1)), world.set, world.north.clock->utc());
  REQUIRE_FALSE(unreached);
  CHECK(unreached.error().code == ErrorCode::unreachable);
  CHECK_FALSE(gone->health(world.set).good);
  CHECK(world.north.component->health(world.set).good);
  CHECK_FALSE(gone->store_health().value().good);
  const auto well = world.north.component->store_health().value();
  CHECK(well.good);
  CHECK_THAT(well.detail, Catch::Contains("1 DataNodes live, 0 dead"));
}
