// What the component hdfs pins, carries and gives back.
#include "common/components/hdfs/changes.hpp"
#include "common/components/hdfs/native.hpp"
#include "tests/conformance/snapshots_suite.hpp"
#include "tests/integration/hadoop/hdfs_world.hpp"

using namespace lockstep;
using namespace lockstep::on_clusters;

TEST_CASE("hdfs: a pin is a snapshot of the directory") {
  World world;
  world.put("file", "one");
  int changes = 0;
  const auto shown = [&](const std::string& root) {
    auto page = must(world.north.user.list(root, ""));
    std::string out;
    for (const auto& status : page.statuses) {
      std::string content;
      must(world.north.user.stream(hdfs::join(root, status.name), 0, status.length,
                                   [&content](std::span<const std::byte> bytes) {
                                     content.append(reinterpret_cast<const char*>(bytes.data()),
                                                    bytes.size());
                                     return true;
                                   }));
      out += status.name + "=" + content + ";";
    }
    return out;
  };
  test::run_snapshots_suite({*world.north.component->snapshots(), world.set, *world.north.clock,
                             [&] { world.put("file", "changed " + std::to_string(++changes)); },
                             [&] { return shown(world.source); },
                             [&](const Version& version) {
                               return shown(must(hdfs::native_from_text(version.native)).root());
                             }});
}

TEST_CASE("hdfs: everything is carried and restored") {
  World world;
  fill(world);
  must(world.south.component->target()->check(world.target, 1 << 20));
  const Version pinned = world.pin(1);
  const Version kept = world.carried(pinned, 1);
  CHECK(kept.name == run_id(1));
  world.same(pinned, kept);
  must(world.south.component->target()->check_version(kept));

  INFO("all of it, at a new place");
  component::Target& target = *world.south.component->target();
  const std::string place = world.top + "/restored/here";
  const auto restored = must(target.restore(context_of(run_id(5)), kept, {place, {}}, "", false));
  CHECK(restored.entries > 40);
  CHECK(restored.bytes > 9'000'000);
  component::DataSet of_copy = world.set_at(place);
  auto armed = must(world.south.component->snapshots()->arm(context_of(run_id(6)), of_copy,
                                                            world.south.clock->utc()));
  const Version copy = must(armed->pin()).version;
  auto from = must(world.north.component->sources()->open(pinned));
  auto to = must(world.south.component->sources()->open(copy));
  World::same_sources(*from, *to);

  INFO("what is there is not touched without being told so, and then set aside");
  auto taken = target.restore(context_of(run_id(5)), kept, {place, {}}, "", false);
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == ErrorCode::place_not_empty);
  World::put_on(world.south, place + "/mine", "mine");
  const auto over = must(target.restore(context_of(run_id(5)), kept, {place, {}}, "", true));
  CHECK(must(world.south.user.status(over.moved_aside + "/mine")).length == 4);
  CHECK_FALSE(world.south.user.status(place + "/mine"));
  CHECK(must(world.south.user.status(place + "/large")).length == 9'000'001);
  CHECK_FALSE(world.south.user.status(place + ".restoring-" + run_id(5)));

  INFO("a part, with the directories above it");
  const std::string part = world.top + "/part";
  CHECK(must(target.restore(context_of(run_id(5)), kept, {part, {}}, "a/deep/plain", false))
            .entries == 1);
  CHECK(must(world.south.user.status(part + "/a/deep/plain")).length == 6);
  CHECK_FALSE(world.south.user.status(part + "/large"));
  auto no_such = target.restore(context_of(run_id(5)), kept, {part, {}}, "no/such", false);
  REQUIRE_FALSE(no_such);
  CHECK(no_such.error().code == ErrorCode::not_found);
  auto inside = target.restore(context_of(run_id(5)), kept,
                               {world.target.place.location + "/x", {}}, "", false);
  REQUIRE_FALSE(inside);
  CHECK(inside.error().code == ErrorCode::target_overlaps);
  must(world.south.component->snapshots()->drop(context_of(run_id(6)), copy));
}

TEST_CASE("hdfs: every sort of change is carried on a base, and the difference names it") {
  ChangedWorld world;
  const Version& first_pin = world.first_pin;
  const Version& first = world.first;
  const Version& second_pin = world.second_pin;

  INFO("the base's entries and the changes make the new version's entries");
  auto source = must(world.north.component->sources()->open(second_pin));
  auto base = must(world.north.component->sources()->open(first_pin));
  std::map<std::string, Entry> made;
  for (Entry& entry : must(test::entries_of(*base))) made[entry.path] = entry;
  auto changes = must(source->changes(first_pin));
  REQUIRE(changes != nullptr);
  std::optional<std::string> below;
  std::string last;
  std::size_t named = 0;
  const auto drop_tree = [&made](const std::string& path) {
    std::erase_if(made, [&](const auto& item) {
      return item.first == path || component::path_inside(item.first, path);
    });
  };
  while (auto one = must(changes->next())) {
    CHECK((named == 0 || component::path_less(last, one->path)));
    last = one->path;
    ++named;
    const bool keeps_tree = one->now && one->now->kind == EntryKind::directory && !one->below;
    if (!keeps_tree && !one->path.empty()) drop_tree(one->path);
    if (one->now) made[one->path] = *one->now;
  }
  CHECK(named < 60);
  const std::vector<Entry> expected = must(test::entries_of(*source));
  std::vector<std::string> made_paths, expected_paths;
  for (const auto& [path, entry] : made) made_paths.push_back(path);
  for (const Entry& entry : expected) expected_paths.push_back(entry.path);
  std::sort(expected_paths.begin(), expected_paths.end());
  REQUIRE(made_paths == expected_paths);
  for (const Entry& entry : expected) {
    INFO(entry.path);
    const Entry& got = made.at(entry.path);
    CHECK(got.mtime_ns == entry.mtime_ns);
    CHECK((got.xattrs == entry.xattrs));
    CHECK(got.size == entry.size);
    CHECK(got.native.inode == entry.native.inode);
  }

  test::Carry carry = world.carry_on_first(2);
  const test::Carried second = must(test::Carrier(carry).run());
  world.same(second_pin, second.version);
  INFO("a version never changes, whatever is made from it");
  world.same(first_pin, first);
  INFO("again, from what the directory holds now, and everything twice");
  carry.run = run_id(3);
  carry.twice = true;
  const test::Carried third = must(test::Carrier(carry).run());
  world.same(second_pin, third.version);
  component::Target& target = *world.south.component->target();
  CHECK(must(target.list(world.target)).size() == 3);
  must(target.drop(context_of(run_id(3)), first));
  must(target.drop(context_of(run_id(3)), first));
  world.same(second_pin, second.version);
  CHECK(must(target.list(world.target)).size() == 2);
  CHECK(world.south.component->sources()->open(first).error().code == ErrorCode::version_missing);
  auto baseless = target.stage(context_of(run_id(4)), {world.target, first, false});
  REQUIRE_FALSE(baseless);
  CHECK(baseless.error().code == ErrorCode::version_missing);
}

// What was found by trying, and why directories' times are not carried (metadata.hpp): the day that
// this fails, they may be.
TEST_CASE("hdfs: the time of a directory in a snapshot moves with the live directory") {
  World world;
  WebHdfs& user = world.north.user;
  world.put("a/file", "one");
  const Version pinned = world.pin(1);
  const std::string in_pin = must(hdfs::native_from_text(pinned.native)).root() + "/a";
  const auto before = must(user.status(in_pin)).modified_ms;
  ::usleep(5000);
  world.put("a/other", "two");
  CHECK(must(user.status(in_pin)).modified_ms != before);
  CHECK(must(user.list(in_pin, "")).statuses.size() == 1);
}

TEST_CASE(
    "hdfs: bytes that were appended between two pins are not missed, whatever the time of the "
    "file") {
  World world;
  world.put("file", "begun");
  const Version first_pin = world.pin(1);
  const Version first = world.carried(first_pin, 1);
  // The same inode, and a time that says that nothing happened.
  const auto before = must(world.north.user.status(world.source + "/file"));
  const std::string command =
      std::string(PYTHON) + " " + HADOOP + " hdfs north -appendToFile - " + world.source + "/file";
  FILE* append = ::popen(command.c_str(), "w");
  REQUIRE(append != nullptr);
  std::fputs(" and more", append);
  REQUIRE(::pclose(append) == 0);
  must(world.north.user.set_modified(world.source + "/file", before.modified_ms));
  CHECK(must(world.north.user.status(world.source + "/file")).file_id == before.file_id);
  const Version second_pin = world.pin(2);
  test::Carry carry = world.carry(second_pin, 2);
  carry.base_pin = first_pin;
  carry.base_version = first;
  world.same(second_pin, must(test::Carrier(carry).run()).version);
}
