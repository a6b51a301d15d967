// The component hbase on two real clusters (hadoop.py): LOCKSTEP_HDFS_NORTH and
// LOCKSTEP_HBASE_NORTH name a NameNode and HBase's class path, and so of SOUTH. Rows are written
// and read by Tables.java.
#include "common/components/hbase/hbase.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <sstream>

#include "common/clock/clock.hpp"
#include "common/components/hbase/native.hpp"
#include "common/os/disk.hpp"
#include "common/os/processes.hpp"
#include "tests/conformance/carry.hpp"
#include "tests/support/scratch.hpp"

namespace {

using namespace lockstep;
using component::Action;
using component::Entry;
using component::EntryKind;
using component::Version;

template <class T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().text());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

std::string variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) FAIL(name + " is not set");
  return value;
}

std::string run_id(int number) {
  return "01930000-0000-7000-8000-0000000000" + std::to_string(10 + number);
}

component::Context context_of(const std::string& run, int attempt = 1) {
  component::Context context;
  context.run = run;
  context.attempt = attempt;
  return context;
}

struct Side {
  explicit Side(const std::string& name) : classpath(variable("LOCKSTEP_HBASE_" + name)) {
    hbase::Settings settings;
    settings.classpath = classpath;
    settings.hdfs.namenodes = {variable("LOCKSTEP_HDFS_" + name)};
    component = hbase::make_hbase(surroundings, settings);
  }

  // What Tables.java answers to each line.
  std::vector<std::string> tables(const std::string& lines) {
    os::Command command;
    command.argv = {"/bin/sh", "-c",
                    "printf '" + lines + "' | java -XX:TieredStopAtLevel=1 -cp '" + classpath +
                        "' " TABLES " 2>/dev/null"};
    command.environment["HADOOP_USER_NAME"] = "hbase";
    const os::Finished finished = must(processes->run(command, seconds(300), {}));
    INFO(finished.output);
    REQUIRE(finished.exit_status == 0);
    std::vector<std::string> answers;
    std::istringstream all(finished.output);
    for (std::string line; std::getline(all, line);) {
      CHECK(line.starts_with("ok"));
      answers.push_back(line);
    }
    return answers;
  }

  test::Scratch scratch;
  std::string classpath;
  std::unique_ptr<Clock> clock = make_system_clock();
  std::unique_ptr<os::Disk> disk = os::make_kernel_disk();
  std::unique_ptr<os::Processes> processes = os::make_system_processes();
  component::Surroundings surroundings{*disk, *processes, *clock, scratch.path()};
  std::unique_ptr<component::Component> component;
};

struct World {
  World() {
    space = "c" + std::to_string(::getpid());
    set.id = {"orders", "lines"};
    set.component = "hbase";
    set.place.location = "/" + space + "/*";
    north.tables("create " + space + ":lines 3\\ncreate " + space + ":heads 1\\nput " + space +
                 ":lines 0 300 500\\n");
  }
  ~World() {
    for (Side* side : {&north, &south}) {
      auto pins = side->component->snapshots()->list(set);
      for (const Version& one : pins.value_or(std::vector<Version>{})) {
        (void)side->component->snapshots()->drop({}, one);
      }
      auto points = side->component->target()->list(set);
      for (const Version& one : points.value_or(std::vector<Version>{})) {
        (void)side->component->target()->drop({}, one);
      }
    }
    north.tables("clear " + space + "\\n");
    south.tables("clear r" + space + "\\n");
  }

  Version pin(int number) {
    auto armed = must(north.component->snapshots()->arm(context_of(run_id(number)), set, {}));
    CHECK_FALSE(armed->estimate().one_instant);
    const auto pinned = must(armed->pin());
    CHECK(pinned.interval.requested <= pinned.interval.acknowledged);
    CHECK(pinned.durable);
    CHECK_FALSE(pinned.one_instant);
    return must(armed->settle({}));
  }

  Side north{"NORTH"};
  Side south{"SOUTH"};
  std::string space;
  component::DataSet set;
};

std::vector<std::pair<Entry, std::string>> all_of(component::Component& of,
                                                  const Version& version) {
  auto source = must(of.sources()->open(version));
  std::vector<std::pair<Entry, std::string>> all;
  for (Entry& entry : must(test::entries_of(*source))) {
    entry.native = {};
    std::string content;
    if (entry.kind == EntryKind::regular) content = must(test::content_of(*source, entry));
    all.emplace_back(std::move(entry), std::move(content));
  }
  return all;
}

bool same(const std::vector<std::pair<Entry, std::string>>& a,
          const std::vector<std::pair<Entry, std::string>>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first.path == y.first.path && x.first.kind == y.first.kind &&
           x.first.mode == y.first.mode && x.first.size == y.first.size && x.second == y.second;
  });
}

// Brings the pin's manifests to the staging, and no HFile.
void put_tables(component::Component& from, const Version& pin, component::Staging& staging) {
  for (const auto& [entry, content] : all_of(from, pin)) {
    if (entry.kind != EntryKind::regular || !entry.path.starts_with("tables/")) continue;
    must(staging.begin(entry, Action::create));
    must(staging.write(0, std::as_bytes(std::span(content))));
    must(staging.finish());
  }
}

TEST_CASE("versions are carried, kept, given back and dropped") {
  World world;
  auto& pins = *world.north.component->snapshots();
  auto& target = *world.south.component->target();
  must(target.check(world.set, 1));
  CHECK(world.north.component->health(world.set).good);
  CHECK_THAT(world.north.component->store_health().value().detail,
             Catch::Contains("1 region servers live, 0 dead"));
  const Version first_pin = world.pin(1);
  const Version found = must(pins.find(context_of(run_id(1)), world.set)).value();
  CHECK(found.native == first_pin.native);
  CHECK_FALSE(must(pins.find(context_of(run_id(2)), world.set)));
  CHECK(pins.arm(context_of(run_id(1)), world.set, {}).error().code == ErrorCode::arm_refused);

  test::Carry carry{*world.north.component->sources(), target, world.set, first_pin, run_id(1)};
  carry.twice = true;
  const Version first = must(test::Carrier(carry).run()).version;
  const auto content = all_of(*world.north.component, first_pin);
  CHECK(same(content, all_of(*world.south.component, first)));
  must(target.check_version(first));

  world.north.tables("put " + world.space + ":lines 300 5 500\\nremove " + world.space +
                     ":lines 0 9\\n");
  const Version second_pin = world.pin(2);
  test::Carry more{*world.north.component->sources(), target, world.set, second_pin, run_id(2)};
  more.base_pin = first_pin;
  more.base_version = first;
  const Version second = must(test::Carrier(more).run()).version;
  CHECK(same(all_of(*world.north.component, second_pin), all_of(*world.south.component, second)));
  CHECK(same(content, all_of(*world.south.component, first)));
  CHECK(must(target.list(world.set)).size() == 2);
  CHECK(must(target.find(context_of(run_id(2)), world.set))->native == second.native);

  // The pins and the first version may go: what the second holds stays.
  for (const Version& pin : {first_pin, second_pin}) must(pins.drop({}, pin));
  must(pins.drop({}, first_pin));
  must(target.drop({}, first));
  must(target.drop({}, first));
  CHECK(must(pins.list(world.set)).empty());
  CHECK(world.south.component->sources()->open(first).error().code == ErrorCode::version_missing);
  must(target.check_version(second));
  component::Place place;
  place.location = "/r" + world.space + "/set";
  CHECK(must(target.restore({}, second, place, {}, false)).entries == 2);
  CHECK(target.restore({}, second, place, {}, false).error().code == ErrorCode::place_not_empty);
  CHECK(target.restore({}, second, place, "data", false).error().code == ErrorCode::not_supported);
  const std::string lines = world.space + ":lines";
  CHECK(world.north.tables("digest " + lines + "\\ndescribe " + lines + "\\n") ==
        world.south.tables("digest r" + world.space + ":set." + world.space +
                           ".lines\\ndescribe r" + world.space + ":set." + world.space +
                           ".lines\\n"));
}

TEST_CASE("a version of which HBase misses a file is not sealed, and nothing of it stays") {
  World world;
  auto& target = *world.south.component->target();
  const Version pin = world.pin(3);
  {
    auto staging = must(target.stage(context_of(run_id(3)), {world.set, {}, false}));
    put_tables(*world.north.component, pin, *staging);
    auto sealed = staging->seal();
    REQUIRE_FALSE(sealed);
    CHECK(sealed.error().code == ErrorCode::target_write);
    CHECK_FALSE(must(target.find(context_of(run_id(3)), world.set)));
    must(staging->abandon());
  }
  CHECK(must(target.list(world.set)).empty());
  // An attempt whose process ended: it is listed, is no version, and goes with the next one.
  must(target.stage(context_of(run_id(3)), {world.set, {}, false}));
  REQUIRE(must(target.list(world.set)).size() == 1);
  CHECK_FALSE(must(target.find(context_of(run_id(3)), world.set)));
  CHECK(target.stage(context_of(run_id(3), 2), {world.set, {}, true}).error().code ==
        ErrorCode::resume_refused);
  const test::Carry carry{*world.north.component->sources(), target, world.set, pin, run_id(3)};
  must(target.check_version(must(test::Carrier(carry).run()).version));
  CHECK(must(target.list(world.set)).size() == 1);
}

TEST_CASE("what is no part of a snapshot is refused") {
  World world;
  auto& target = *world.south.component->target();
  const Version pin = world.pin(4);
  auto staging = must(target.stage(context_of(run_id(4)), {world.set, {}, false}));
  for (const char* path : {"x", "data/../../x/y/z/f", "data/n/t/r/f", "tables/n/t/other/info",
                           "data/n/t/r/f/h/more", "tables/n", "archive/data/n/t/r/f", "../x"}) {
    INFO(path);
    Entry entry;
    entry.path = path;
    CHECK(staging->begin(entry, Action::create).error().code == ErrorCode::stream_hostile);
  }
  // A description of another table than its place says.
  for (const auto& [entry, content] : all_of(*world.north.component, pin)) {
    if (!entry.path.ends_with("/heads/" + run_id(4) + "/info")) continue;
    Entry other = entry;
    other.path = "tables/" + world.space + "/lines/" + run_id(4) + "/info";
    must(staging->begin(other, Action::create));
    must(staging->write(0, std::as_bytes(std::span(content))));
    must(staging->finish());
  }
  CHECK(staging->seal().error().code == ErrorCode::stream_hostile);
  must(staging->abandon());
  CHECK(must(target.list(world.set)).empty());
}

TEST_CASE("tables that are not there are said at arm") {
  World world;
  world.set.place.location = "/" + world.space + "/nonesuch";
  auto& pins = *world.north.component->snapshots();
  CHECK(pins.arm(context_of(run_id(5)), world.set, {}).error().code == ErrorCode::set_missing);
  world.set.place.location = "/" + world.space;
  CHECK(pins.arm(context_of(run_id(5)), world.set, {}).error().code == ErrorCode::not_supported);
}

}  // namespace
