// The Source and the Target of files, on btrfs, XFS and ext4 on loop devices, on the machine's own
// temporary file system and on tmpfs. Without the right to mount, each that needs it says so and is
// skipped.
#include "common/components/files/files.hpp"

#include <grp.h>
#include <sys/mount.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <vector>

#include "common/component/gives_at_once.hpp"
#include "common/components/files/native.hpp"
#include "common/os/disk.hpp"
#include "common/os/processes.hpp"
#include "tests/conformance/carry.hpp"
#include "tests/conformance/source_target_suite.hpp"
#include "tests/support/differences.hpp"
#include "tests/support/scratch.hpp"

namespace {

using namespace lockstep;
namespace fs = std::filesystem;

// The process is an ordinary user for as long as this lives, and root again after it.
class OrdinaryUser {
 public:
  explicit OrdinaryUser(const std::vector<std::string>& own) {
    for (const std::string& path : own) REQUIRE(::chown(path.c_str(), kNobody, kNobody) == 0);
    REQUIRE(::setgroups(0, nullptr) == 0);
    REQUIRE(::setresgid(kNobody, kNobody, 0) == 0);
    REQUIRE(::setresuid(kNobody, kNobody, 0) == 0);
  }
  ~OrdinaryUser() {
    if (::setresuid(0, 0, 0) != 0 || ::setresgid(0, 0, 0) != 0) std::abort();
  }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;

 private:
  static constexpr uid_t kNobody = 65534;
};

struct Bench {
  // "btrfs", "xfs", "ext4" on a loop device, "tmp", "shm"; with " as user" by an ordinary user.
  explicit Bench(const std::string& wanted) {
    const std::string suffix = " as user";
    const bool as_user = wanted.ends_with(suffix);
    const std::string kind = as_user ? wanted.substr(0, wanted.size() - suffix.size()) : wanted;
    std::string top;
    if (kind == "tmp" || kind == "shm") {
      plain.emplace(kind == "tmp" ? "/tmp" : "/dev/shm");
      top = plain->path();
    } else {
      mount.emplace(kind, "600M");
      if (!mount->mounted()) {
        std::cerr << "SKIPPED: files on " << kind << " need the right to mount a loop device\n";
        return;
      }
      top = mount->path();
    }
    tree = top + "/north/invoices";
    place = top + "/south/invoices";
    room = top + "/room";
    for (const std::string& path : {tree, top + "/south", room}) fs::create_directories(path);
    if (as_user) {
      fs::permissions(fs::path(top).parent_path(), fs::perms(0755));
      user.emplace(
          std::vector<std::string>{top, top + "/north", tree, top + "/south", room, state.path()});
    }
    usable = true;
  }

  component::DataSet set_at(const std::string& location) const {
    component::DataSet set;
    set.id = {"orders", "invoices"};
    set.component = "files";
    set.place.location = location;
    set.fence_timeout = seconds(60);
    return set;
  }

  test::SourceTargetSubject subject() {
    return {*component, *clock, tree, set_at(tree), set_at(place), room, ::geteuid() == 0};
  }

  std::optional<test::Scratch> plain;
  std::optional<test::LoopMount> mount;
  test::Scratch state;
  std::optional<OrdinaryUser> user;  // ends before what it was given is taken away
  std::string tree, place, room;
  bool usable = false;
  std::unique_ptr<os::Disk> disk = os::make_kernel_disk();
  std::unique_ptr<os::Processes> processes = os::make_system_processes();
  std::unique_ptr<Clock> clock = make_system_clock();
  component::Surroundings surroundings{*disk, *processes, *clock, state.path()};
  std::unique_ptr<component::Component> component = files::make_files(surroundings);
};

using Part = void (*)(test::SourceTargetSubject);

void run(Part part) {
  const std::string kind = GENERATE("btrfs", "xfs", "ext4", "tmp", "shm", "btrfs as user",
                                    "xfs as user", "ext4 as user");
  INFO(kind);
  Bench bench(kind);
  if (bench.usable) part(bench.subject());
}

}  // namespace

TEST_CASE("files: everything is carried and restored", "[files]") { run(test::carries_everything); }
TEST_CASE("files: every sort of change is carried on a base", "[files]") {
  run(test::carries_changes);
}
TEST_CASE("files: what is applied twice or resumed is the same", "[files]") {
  run(test::is_idempotent);
}
TEST_CASE("files: versions share what is unchanged", "[files]") {
  run(test::shares_what_is_unchanged);
}
TEST_CASE("files: a hostile peer gets nowhere", "[files]") { run(test::refuses_hostile_peers); }
TEST_CASE("files: parts, and in place", "[files]") { run(test::restores_parts_and_in_place); }
TEST_CASE("files: nothing is left behind", "[files]") { run(test::leaves_nothing_behind); }
TEST_CASE("files: deep trees", "[files]") { run(test::carries_deep_trees); }

TEST_CASE("files: each file system's own form", "[files]") {
  struct Row {
    const char* kind;
    const char* form;
  };
  const Row row = GENERATE(Row{"btrfs", "subvolume"}, Row{"xfs", "reflink-tree"},
                           Row{"ext4", "link-farm"}, Row{"btrfs as user", "subvolume"});
  INFO(row.kind);
  Bench bench(row.kind);
  if (!bench.usable) return;
  component::Target& target = *bench.component->target();
  const auto receive = [&](const std::string& run, std::optional<component::Version> base,
                           const std::string& name) {
    component::Context context;
    context.run = run;
    auto staging = target.stage(context, {bench.set_at(bench.place), std::move(base), false});
    if (!staging) FAIL(staging.error().text());
    component::Entry entry;
    entry.path = name;
    entry.mode = 0600;
    entry.uid = ::geteuid();
    entry.gid = ::getegid();
    const std::string content(1 << 20, 'x');
    entry.size = content.size();
    REQUIRE((*staging)->begin(entry, component::Action::create));
    REQUIRE((*staging)->write(0, std::as_bytes(std::span(content))));
    REQUIRE((*staging)->finish());
    auto version = (*staging)->seal();
    if (!version) FAIL(version.error().text());
    return std::move(*version);
  };
  const auto first = receive("01930000-0000-7000-8000-000000000001", std::nullopt, "one");
  const auto second = receive("01930000-0000-7000-8000-000000000002", first, "two");
  CHECK(target.path_of(second).ends_with(row.form));
  CHECK(fs::file_size(target.path_of(second) + "/one") == 1 << 20);
  CHECK_FALSE(fs::exists(target.path_of(first) + "/two"));
  CHECK(fs::equivalent(target.path_of(first) + "/one", target.path_of(second) + "/one") ==
        (std::string(row.form) == "link-farm"));
}

TEST_CASE("files: a version is given at once where it is a subvolume, and stays as it is",
          "[files]") {
  const std::string kind = GENERATE("btrfs", "btrfs as user", "xfs", "ext4");
  INFO(kind);
  Bench bench(kind);
  if (!bench.usable) return;
  fs::create_directories(bench.tree + "/d/empty");
  std::ofstream(bench.tree + "/d/f") << "content";
  component::Context context;
  context.run = "01930000-0000-7000-8000-00000000000a";
  auto armed =
      bench.component->snapshots()->arm(context, bench.set_at(bench.tree), bench.clock->utc());
  REQUIRE(armed);
  auto pinned = (*armed)->pin();
  if (!pinned) FAIL(pinned.error().text());
  auto pin = (*armed)->settle(context);
  REQUIRE(pin);
  component::Target& target = *bench.component->target();
  const auto made = test::Carrier({*bench.component->sources(), target, bench.set_at(bench.place),
                                   *pin, context.run})
                        .run();
  REQUIRE(made);
  auto* at_once = dynamic_cast<component::GivesAtOnce*>(&target);
  REQUIRE(at_once != nullptr);

  const std::string live = bench.room + "/new/live";
  auto given = at_once->give_at_once(context, made->version, {live, {}});
  if (!given) FAIL(given.error().text());
  REQUIRE(*given == kind.starts_with("btrfs"));
  if (!*given) {
    CHECK_FALSE(fs::exists(live));
    return;
  }
  CHECK(test::differences(target.path_of(made->version), live).empty());
  INFO("it is its owner's to write, and the version is not touched by that");
  std::ofstream(live + "/d/f") << "other";
  CHECK(fs::remove(live + "/d/empty"));
  CHECK(target.check_version(made->version));
  CHECK(test::differences(target.path_of(made->version), bench.tree).empty());
  INFO("nothing is put where something is, nor into a store");
  CHECK_FALSE(*at_once->give_at_once(context, made->version, {live, {}}));
  CHECK_FALSE(at_once->give_at_once(context, made->version, {bench.room + "/.lockstep/x", {}}));
  INFO("another file system gets a copy by restore()");
  const test::Scratch elsewhere;
  CHECK_FALSE(*at_once->give_at_once(context, made->version, {elsewhere.path() + "/live", {}}));
}

TEST_CASE("files: what the policy leaves out is not listed, and a mount inside is named",
          "[files]") {
  Bench bench("ext4");
  if (!bench.usable) return;
  for (const char* path : {"keep", "cache/deep", "a/cache"}) {
    fs::create_directories(bench.tree + "/" + path);
    std::ofstream(bench.tree + "/" + path + "/file") << path;
    std::ofstream(bench.tree + "/" + path + "/scrap.tmp") << path;
  }
  fs::create_hard_link(bench.tree + "/cache/deep/file", bench.tree + "/keep/link");
  component::DataSet set = bench.set_at(bench.tree);
  set.exclude = {"*.tmp", "/cache/"};
  component::Context context;
  context.run = "01930000-0000-7000-8000-000000000001";
  auto armed = bench.component->snapshots()->arm(context, set, bench.clock->utc());
  if (!armed) FAIL(armed.error().text());
  REQUIRE((*armed)->pin());
  auto version = (*armed)->settle(context);
  REQUIRE(version);
  auto source = bench.component->sources()->open(*version);
  REQUIRE(source);
  auto entries = test::entries_of(**source);
  if (!entries) FAIL(entries.error().text());
  std::string listed;
  for (const component::Entry& entry : *entries) listed += entry.path + "\n";
  CHECK(listed == "\na\na/cache\na/cache/file\nkeep\nkeep/file\nkeep/link\n");
  INFO("the first name that is listed owns: that of the inode was left out");
  CHECK(entries->back().kind == component::EntryKind::regular);

  INFO("a mount below the tree");
  component::Version plain = *version;
  plain.native = files::to_text(
      {.tree = bench.tree, .hold = bench.tree, .form = "plain", .uuid = {}, .exclude = {}});
  fs::create_directories(bench.tree + "/keep/mounted");
  REQUIRE(::mount("none", (bench.tree + "/keep/mounted").c_str(), "tmpfs", 0, nullptr) == 0);
  auto over = bench.component->sources()->open(plain);
  REQUIRE(over);
  auto refused = test::entries_of(**over);
  REQUIRE(::umount((bench.tree + "/keep/mounted").c_str()) == 0);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::nested_mount);
  CHECK(refused.error().where == bench.tree + "/keep/mounted");
}

TEST_CASE("files: of a small file that is written over, what does not come is a hole", "[files]") {
  const std::string kind = GENERATE("btrfs", "ext4");
  Bench bench(kind);
  if (!bench.usable) return;
  std::ofstream(bench.tree + "/f") << "what was there before";
  auto subject = bench.subject();
  component::Context context;
  context.run = "01930000-0000-7000-8000-00000000000a";
  auto armed = subject.component.snapshots()->arm(context, subject.set, bench.clock->utc());
  REQUIRE(armed);
  REQUIRE((*armed)->pin());
  auto pin = (*armed)->settle(context);
  REQUIRE(pin);
  const auto first = test::Carrier({*subject.component.sources(), *subject.component.target(),
                                    subject.target, *pin, context.run})
                         .run();
  REQUIRE(first);
  context.run = "01930000-0000-7000-8000-00000000000b";
  auto staging =
      subject.component.target()->stage(context, {subject.target, first->version, false});
  REQUIRE(staging);
  component::Entry file;
  file.path = "f";
  file.kind = component::EntryKind::regular;
  file.mode = 0644;
  file.size = 12;
  component::Entry root;
  root.kind = component::EntryKind::directory;
  root.mode = 0755;
  REQUIRE((*staging)->begin(file, component::Action::create));
  const std::string some = "abc";
  REQUIRE((*staging)->write(0, std::as_bytes(std::span(some))));
  REQUIRE((*staging)->finish());
  REQUIRE((*staging)->leave_directory(root));
  auto version = (*staging)->seal();
  REQUIRE(version);
  std::ifstream in(subject.component.target()->path_of(*version) + "/f", std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(in)), {});
  CHECK(content == std::string("abc") + std::string(9, '\0'));
}

TEST_CASE("files: a restore fills an empty file system that was mounted at its place", "[files]") {
  const std::string kind = GENERATE("btrfs", "xfs", "tmpfs");
  INFO(kind);
  Bench bench("tmp");
  std::optional<test::LoopMount> disk;
  const std::string place = bench.room + "/new-disk";
  fs::create_directories(place);
  if (kind == "tmpfs") {
    if (::mount("none", place.c_str(), "tmpfs", 0, nullptr) != 0) return;
  } else {
    disk.emplace(kind, "400M");
    if (!disk->mounted()) return;
    REQUIRE(::mount(disk->path().c_str(), place.c_str(), nullptr, MS_BIND, nullptr) == 0);
  }
  struct Unmount {
    std::string place;
    ~Unmount() { ::umount2(place.c_str(), MNT_DETACH); }
  } unmount{place};
  std::ofstream(bench.tree + "/file") << "content";
  fs::create_directory(bench.tree + "/directory");
  fs::permissions(bench.tree, fs::perms(0751));
  const component::Version plain{
      {"orders", "invoices"},
      "files",
      "01930000-0000-7000-8000-000000000001",
      files::to_text(
          {.tree = bench.tree, .hold = bench.tree, .form = "plain", .uuid = {}, .exclude = {}})};
  component::Context context;
  context.run = plain.name;
  auto restored = bench.component->target()->restore(context, plain, {place, {}}, "", false);
  if (!restored) FAIL(restored.error().text());
  CHECK(restored->entries == 3);
  CHECK(fs::file_size(place + "/file") == 7);
  CHECK(fs::is_directory(place + "/directory"));
  CHECK(fs::status(place).permissions() == fs::perms(0751));
  auto again = bench.component->target()->restore(context, plain, {place, {}}, "", false);
  REQUIRE_FALSE(again);
  CHECK(again.error().code == ErrorCode::place_not_empty);
  auto over = bench.component->target()->restore(context, plain, {place, {}}, "", true);
  REQUIRE_FALSE(over);
  CHECK(over.error().hint.find("mounted") != std::string::npos);
  CHECK(fs::file_size(place + "/file") == 7);
}
