// The component hdfs on two real clusters (hadoop.py), whose NameNodes LOCKSTEP_HDFS_NORTH and
// LOCKSTEP_HDFS_SOUTH name.
#include "common/components/hdfs/hdfs.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>

#include "common/components/hdfs/changes.hpp"
#include "common/components/hdfs/native.hpp"
#include "common/components/hdfs/webhdfs.hpp"
#include "common/os/disk.hpp"
#include "common/os/processes.hpp"
#include "tests/conformance/carry.hpp"
#include "tests/conformance/snapshots_suite.hpp"

namespace {

using namespace lockstep;
using component::Action;
using component::Entry;
using component::EntryKind;
using component::Version;
using hdfs::WebHdfs;

template <class T, class E>
T must(Expected<T, E> result) {
  if constexpr (std::is_same_v<E, Error>) {
    if (!result) FAIL(result.error().text());
  } else {
    if (!result) FAIL(result.error().text);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

std::string namenode(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) FAIL(std::string(name) + " does not say where the NameNode is");
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

// One cluster, as an agent and as a user see it.
struct Side {
  explicit Side(const char* variable)
      : settings{.namenodes = {namenode(variable)}, .user = "hdfs", .ca = {}},
        component(hdfs::make_hdfs(surroundings, settings)),
        user(settings, *clock) {}

  std::unique_ptr<Clock> clock = make_system_clock();
  std::unique_ptr<os::Disk> disk = os::make_kernel_disk();
  std::unique_ptr<os::Processes> processes = os::make_system_processes();
  component::Surroundings surroundings{*disk, *processes, *clock, "/tmp"};
  hdfs::Settings settings;
  std::unique_ptr<component::Component> component;
  WebHdfs user;
};

struct World {
  World() {
    static int number = 0;
    const std::string own = std::to_string(::getpid()) + "-" + std::to_string(++number);
    top = "/tests/" + own;
    source = top + "/source";
    for (Side* side : {&north, &south}) must(side->user.make_directory(top));
    must(north.user.make_directory(source));
    set = set_at(source);
    target = set_at(top + "/target");
  }
  ~World() {
    for (Side* side : {&north, &south}) {
      for (const std::string& place : {source, target.place.location}) {
        auto page = side->user.list(place + "/.snapshot", "");
        if (!page) continue;
        for (const auto& status : page->statuses) {
          (void)side->user.remove_snapshot(place, status.name);
        }
      }
      (void)side->user.remove(top);
    }
  }

  component::DataSet set_at(const std::string& location) const {
    component::DataSet made;
    made.id = {"orders", "invoices"};
    made.component = "hdfs";
    made.place.location = location;
    made.place.options["allow_snapshot"] = "true";
    return made;
  }

  // Of the user's doing, on the source.
  void put(const std::string& path, const std::string& content,
           const WebHdfs::Creation& creation = {}) {
    put_on(north, source + "/" + path, content, creation);
  }
  static void put_on(Side& side, const std::string& path, const std::string& content,
                     const WebHdfs::Creation& creation = {}) {
    must(side.user.create(path, creation, content.size(), [&content] {
      return [&content, at = std::size_t{0}](std::span<std::byte> into) mutable {
        const std::size_t count = std::min(into.size(), content.size() - at);
        std::copy_n(content.data() + at, count, reinterpret_cast<char*>(into.data()));
        at += count;
        return count;
      };
    }));
  }

  Version pin(int number) {
    component::Snapshots& snapshots = *north.component->snapshots();
    auto armed = must(snapshots.arm(context_of(run_id(number)), set, north.clock->utc()));
    (void)must(armed->pin());
    return must(armed->settle(context_of(run_id(number))));
  }

  test::Carry carry(const Version& pinned, int number) {
    return {*north.component->sources(), *south.component->target(), target, pinned,
            run_id(number)};
  }

  void same(const Version& pinned, const Version& kept) {
    auto from = must(north.component->sources()->open(pinned));
    auto to = must(south.component->sources()->open(kept));
    same_sources(*from, *to);
  }
  static void same_sources(component::Source& from, component::Source& to) {
    const std::vector<Entry> left = must(test::entries_of(from));
    const std::vector<Entry> right = must(test::entries_of(to));
    REQUIRE(left.size() == right.size());
    std::string last;
    for (std::size_t i = 0; i < left.size(); ++i) {
      INFO(left[i].path);
      REQUIRE(left[i].path == right[i].path);
      CHECK((i == 0 || component::path_less(last, left[i].path)));
      last = left[i].path;
      CHECK(left[i].kind == right[i].kind);
      CHECK(left[i].mode == right[i].mode);
      CHECK(left[i].mtime_ns == right[i].mtime_ns);
      CHECK(left[i].size == right[i].size);
      CHECK((left[i].xattrs == right[i].xattrs));
      if (left[i].kind != EntryKind::regular) continue;
      CHECK((must(test::content_of(from, left[i])) == must(test::content_of(to, right[i]))));
    }
  }

  Side north{"LOCKSTEP_HDFS_NORTH"};
  Side south{"LOCKSTEP_HDFS_SOUTH"};
  std::string top, source;
  component::DataSet set, target;
};

std::string noise(std::size_t size, unsigned seed) {
  std::string out(size, '\0');
  for (char& c : out) {
    seed = seed * 1664525U + 1013904223U;
    c = static_cast<char>(seed >> 24U);
  }
  return out;
}

const char* const kNames[] = {"a%b",
                              "a+b",
                              "a b",
                              "a;b",
                              "é",
                              "aé",
                              "ab",
                              "日本",
                              "a'b\"c",
                              "x?y",
                              "#h",
                              "n\nl",
                              "a&b=c",
                              "a\\b",
                              "100%25",
                              "*",
                              "\xF0\x9F\x98\x80"};

// Everything that is carried.
void fill(World& world) {
  WebHdfs& user = world.north.user;
  const auto at = [&](const std::string& path) { return world.source + "/" + path; };
  for (const char* name : kNames) world.put(name, std::string("content of ") + name);
  must(user.make_directory(at("a/deep/er")));
  must(user.make_directory(at("empty directory")));
  for (int i = 0; i < 20; ++i) {
    world.put("a/invoice-" + std::to_string(i), "invoice " + std::to_string(i));
  }
  world.put("nothing", "");
  world.put("large", noise(9'000'001, 1), {.mode = 0600, .replication = 2, .block_size = 1 << 20});
  world.put("grows", noise(200'000, 2));
  must(user.set_owner(at("a/invoice-1"), "alice", "accounting"));
  must(user.set_mode(at("a/invoice-2"), 0400));
  must(user.set_mode(at("a"), 01777));
  must(user.set_xattr(at("a/invoice-3"), {"user.colour", std::string("red\0\xff", 5)}, false));
  must(user.set_xattr(at("a/invoice-3"), {"user.nothing", ""}, false));
  must(user.set_xattr(at("a/deep"), {"trusted.kept", "yes"}, false));
  must(user.set_xattr(world.source, {"user.root", "r"}, false));
  must(user.set_acl(at("a/invoice-4"), "user::rw-,user:bob:r--,group::r--,mask::rw-,other::---"));
  must(user.set_acl(at("a/deep"),
                    "user::rwx,group::r-x,other::r-x,default:user::rwx,default:user:carol:rwx,"
                    "default:group::r-x,default:mask::rwx,default:other::---"));
  world.put("a/deep/inherits", "an ACL");
  must(user.remove_acl(at("a/deep/er")));
  world.put("a/deep/plain", "no ACL");
  must(user.remove_acl(at("a/deep/plain")));
  must(user.set_mode(at("a/deep/plain"), 0644));
  must(user.set_modified(at("a/invoice-5"), 1'234'567'890'123));
  must(user.set_modified(at("empty directory"), 987'654'321'000));
}

// Creation, changes inside files, metadata alone, removal, kinds that change, renames.
void change(World& world) {
  WebHdfs& user = world.north.user;
  const auto at = [&](const std::string& path) { return world.source + "/" + path; };
  must(user.make_directory(at("new/er")));
  world.put("new/er/file", "fresh");
  world.put("grows", noise(200'000, 2) + "appended");
  world.put("a/invoice-6", "INVOICE 6");  // of the same size, another inode
  must(user.remove(at("a/invoice-7")));
  must(user.remove(at("empty directory")));
  world.put("empty directory", "a file now");
  must(user.remove(at("nothing")));
  must(user.make_directory(at("nothing/at/all")));
  must(user.rename(at("a/deep"), at("moved")));
  must(user.rename(at("a/invoice-8"), at("a/invoice-8-moved")));
  must(user.set_mode(at("a/invoice-9"), 0640));
  must(user.set_owner(at("ab"), "alice", ""));
  must(user.remove_acl(at("a/invoice-4")));
  must(user.remove_xattr(at("a/invoice-3"), "user.nothing"));
  must(user.set_xattr(at("a/invoice-10"), {"user.new", "1"}, false));
  must(user.set_replication(at("a/invoice-11"), 3));
  must(user.remove(at("a/invoice-12")));
  world.put("a/invoice-12", "invoice 12");          // deleted and made again
  must(user.rename(at("moved/er"), at("a/deep")));  // a name that was another's
}

}  // namespace

TEST_CASE("hdfs: a pin is a snapshot of the directory") {
  World world;
  world.put("file", "one");
  int changes = 0;
  const auto shown = [&](const std::string& root) {
    auto page = must(world.north.user.list(root, ""));
    std::string out;
    for (const auto& status : page.statuses) {
      std::string content(status.length, '\0');
      must(world.north.user.read(hdfs::join(root, status.name), 0,
                                 std::as_writable_bytes(std::span(content))));
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
  const Version kept = must(test::Carrier(world.carry(pinned, 1)).run()).version;
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
  World world;
  fill(world);
  const Version first_pin = world.pin(1);
  const Version first = must(test::Carrier(world.carry(first_pin, 1)).run()).version;
  change(world);
  const Version second_pin = world.pin(2);

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

  test::Carry carry = world.carry(second_pin, 2);
  carry.base_pin = first_pin;
  carry.base_version = first;
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
  const Version first = must(test::Carrier(world.carry(first_pin, 1)).run()).version;
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

TEST_CASE("hdfs: an attempt that died is undone, whatever it had done") {
  World world;
  fill(world);
  const Version first_pin = world.pin(1);
  const Version first = must(test::Carrier(world.carry(first_pin, 1)).run()).version;
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
  const Version kept = must(test::Carrier(world.carry(pinned, 1)).run()).version;
  const Version again = must(test::Carrier(world.carry(pinned, 1)).run()).version;
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
  for (const char* name : {"hdfs.nothing", "user.lockstep.staging", "trusted.lockstep.entry"}) {
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
}
