// Attempts of the component hdfs that died, and versions that somebody touched.
#include "common/components/hdfs/native.hpp"
#include "tests/integration/hadoop/hdfs_world.hpp"

using namespace lockstep;
using namespace lockstep::on_clusters;

TEST_CASE("hdfs: an attempt that died is undone, whatever it had done") {
  World world;
  fill(world);
  const Version first_pin = world.pin(1);
  const Version first = world.carried(first_pin, 1);
  change(world);
  const Version second_pin = world.pin(2);
  component::Target& target = *world.south.component->target();
  const auto vandalise = [&](int attempt) {
    auto staging = must(target.stage(context_of(run_id(2), attempt), {world.target, first, false}));
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
  test::Carry carry = world.carry(second_pin, 2);
  carry.base_pin = first_pin;
  carry.base_version = first;
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
  must(vandalise(8)->abandon());
  CHECK(must(target.list(world.target)).size() == 3);
  vandalise(9).reset();
  const auto left = must(target.list(world.target));
  REQUIRE(left.size() == 4);
  must(target.drop(context_of(run_id(2)), left.back()));
  must(target.drop(context_of(run_id(2)), left.back()));
  CHECK(must(target.list(world.target)).size() == 3);
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
