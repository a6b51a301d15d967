// Attempts of the component hdfs that died, and versions that somebody touched.
#include "common/component/makes_live.hpp"
#include "common/components/hdfs/native.hpp"
#include "tests/integration/hadoop/hdfs_world.hpp"

using namespace lockstep;
using namespace lockstep::on_clusters;

TEST_CASE("hdfs: an attempt that died is undone, whatever it had done") {
  ChangedWorld world;
  const Version& first_pin = world.first_pin;
  const Version& first = world.first;
  const Version& second_pin = world.second_pin;
  component::Target& target = *world.south.component->target();
  const auto vandalise = [&](int attempt, int run = 2) {
    auto staging =
        must(target.stage(context_of(run_id(run), attempt), {world.target, first, false}));
    Entry file;
    file.path = "a/invoice-1";
    file.size = 4;
    file.mode = 0644;
    must(staging->begin(file, Action::create));
    must(staging->write(0, std::as_bytes(std::span("half", 4))));
    must(staging->finish());
    must(staging->remove("large"));
    must(staging->remove("a/deep"));
    must(staging->checkpoint());
    return staging;
  };
  vandalise(1).reset();
  // And what a user of the secondary might do.
  must(world.south.user.rename(world.target.place.location + "/a",
                               world.target.place.location + "/b"));
  World::put_on(world.south, world.target.place.location + "/foreign", "x");
  const auto listed = must(target.list(world.target));
  REQUIRE(listed.size() == 2);
  CHECK(listed.back().name == run_id(2));
  CHECK_FALSE(must(target.find(context_of(run_id(2)), world.target)));
  auto resumed = target.stage(context_of(run_id(2)), {world.target, first, true});
  REQUIRE_FALSE(resumed);
  CHECK(resumed.error().code == ErrorCode::resume_refused);
  world.same(first_pin, first);

  INFO("the next attempt begins with the base");
  test::Carry carry = world.carry_on_first(2);
  world.same(second_pin, must(test::Carrier(carry).run()).version);
  CHECK(must(target.list(world.target)).size() == 2);

  INFO("so does one that takes over from another that is at work, which is told");
  auto other = vandalise(7);
  carry.run = run_id(3);
  const Version third = must(test::Carrier(carry).run()).version;
  world.same(second_pin, third);
  Entry late;
  late.path = "late";
  CHECK(other->begin(late, Action::create).error().code == ErrorCode::cancelled);
  other.reset();
  world.same(second_pin, third);

  INFO("abandoned, and dropped");
  must(vandalise(8, 4)->abandon());
  CHECK(must(target.list(world.target)).size() == 3);
  vandalise(9, 4).reset();
  const auto left = must(target.list(world.target));
  REQUIRE(left.size() == 4);
  must(target.drop(context_of(run_id(4)), left.back()));
  must(target.drop(context_of(run_id(4)), left.back()));
  CHECK(must(target.list(world.target)).size() == 3);
}

TEST_CASE("hdfs: what somebody did to the target directory itself is undone") {
  ChangedWorld world;
  const std::string& directory = world.target.place.location;
  component::Target& target = *world.south.component->target();
  const auto mode = must(world.south.user.status(directory)).mode;
  REQUIRE(mode != 0700);
  must(world.south.user.set_mode(directory, 0700));
  auto staging = must(target.stage(context_of(run_id(2)), {world.target, world.first, false}));
  CHECK(staging->caveats().empty());
  CHECK(must(world.south.user.status(directory)).mode == mode);
}

TEST_CASE("hdfs: the directory goes back with a point that goes, unless somebody works there") {
  ChangedWorld world;
  const Version& first_pin = world.first_pin;
  const Version& first = world.first;
  component::Target& target = *world.south.component->target();
  const std::string& directory = world.target.place.location;
  const auto carried = [&](int number) {
    return must(test::Carrier(world.carry_on_first(number)).run()).version;
  };
  // An attempt that begins with the first point and changes nothing.
  const auto caveats_of = [&](int number) {
    auto staging = must(target.stage(context_of(run_id(number)), {world.target, first, false}));
    auto caveats = staging->caveats();
    world.same(first_pin, must(staging->seal()));
    return caveats;
  };
  const auto drop = [&](const Version& version) {
    must(target.drop(context_of(version.name), version));
    must(target.drop(context_of(version.name), version));
  };
  const auto shows_second = [&] { return bool(world.south.user.status(directory + "/new")); };

  INFO("nobody touched it");
  const Version second = carried(2);
  CHECK(shows_second());
  drop(second);
  CHECK_FALSE(shows_second());
  CHECK(must(target.list(world.target)).size() == 1);
  CHECK(caveats_of(3).empty());

  INFO("whoever dropped it died before the directory went back");
  const Version fourth = carried(4);
  must(world.south.user.remove_snapshot(directory,
                                        must(hdfs::native_from_text(fourth.native)).snapshot));
  CHECK(must(target.list(world.target)).back().name == fourth.name);
  drop(fourth);
  CHECK_FALSE(shows_second());
  CHECK(caveats_of(5).empty());

  INFO("somebody had touched it: it stays, and the next attempt keeps it aside");
  const auto somebody_had_changed = [&](int number) {
    const auto caveats = caveats_of(number);
    REQUIRE(caveats.size() == 1);
    CHECK(caveats.front().find("Somebody had changed") != std::string::npos);
    const std::string aside =
        directory + "/.snapshot/lockstep-before.orders.invoices." + run_id(number);
    CHECK(must(world.south.user.status(aside + "/foreign")).length == 1);
    CHECK_FALSE(world.south.user.status(directory + "/foreign"));
  };
  const Version sixth = carried(6);
  World::put_on(world.south, directory + "/foreign", "x");
  drop(sixth);
  CHECK(must(world.south.user.status(directory + "/foreign")).length == 1);
  somebody_had_changed(7);

  INFO("somebody touches what was brought back");
  drop(carried(8));
  World::put_on(world.south, directory + "/foreign", "x");
  somebody_had_changed(9);

  INFO("an application works there");
  const Version tenth = carried(10);
  auto& live = dynamic_cast<component::MakesLive&>(target);
  must(live.make_live(context_of(tenth.name), tenth, world.target.place));
  drop(tenth);
  CHECK(shows_second());
}

TEST_CASE(
    "hdfs: the only point that goes leaves an empty directory, or what somebody wrote there") {
  World world;
  fill(world);
  const Version pinned = world.pin(1);
  const std::string& directory = world.target.place.location;
  component::Target& target = *world.south.component->target();
  const Version only = world.carried(pinned, 1);
  must(target.drop(context_of(only.name), only));
  CHECK(must(world.south.user.list(directory, "")).statuses.empty());
  must(target.check(world.target, 0));
  CHECK(must(target.list(world.target)).empty());

  const Version touched = world.carried(pinned, 2);
  World::put_on(world.south, directory + "/foreign", "x");
  must(target.drop(context_of(touched.name), touched));
  CHECK(must(world.south.user.status(directory + "/foreign")).length == 1);
  CHECK(must(target.list(world.target)).empty());
  const auto refused = target.check(world.target, 0);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::target_overlaps);
}

TEST_CASE("hdfs: what was sealed and is abandoned all the same leaves no version") {
  World world;
  world.put("file", "content");
  component::Target& target = *world.south.component->target();
  auto staging = must(target.stage(context_of(run_id(1)), {world.target, {}, false}));
  must(staging->seal());
  must(staging->abandon());
  CHECK(must(target.list(world.target)).empty());
  CHECK_FALSE(must(target.find(context_of(run_id(1)), world.target)));
}

TEST_CASE(
    "hdfs: sealing again finds the version made, and a snapshot of that name by others is not it") {
  World world;
  world.put("file", "content");
  const Version pinned = world.pin(1);
  const Version kept = world.carried(pinned, 1);
  const Version again = world.carried(pinned, 1);
  CHECK(again.native == kept.native);
  CHECK(must(world.south.component->target()->list(world.target)).size() == 1);
  const auto native = must(hdfs::native_from_text(kept.native));
  must(world.south.user.remove_snapshot(native.directory, native.snapshot));
  ::usleep(5000);
  must(world.south.user.create_snapshot(native.directory, native.snapshot, seconds(5)));
  auto other = world.south.component->sources()->open(kept);
  REQUIRE_FALSE(other);
  CHECK(other.error().code == ErrorCode::version_missing);
}
