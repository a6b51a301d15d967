// Full disks, failing syncs, files that cannot be read: a clear error, nothing that can be seen in
// part, and the next attempt works.
#include <cerrno>

#include "tests/support/faulty_disk.hpp"
#include "tests/unit/files/bench.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

class UnsyncableDisk final : public ForwardingDisk {
 public:
  using ForwardingDisk::ForwardingDisk;
  os::Sys<void> syncfs(int fd) override {
    if (fail-- > 0) return os::Errno{EIO};
    return under_.syncfs(fd);
  }
  int fail = 0;
};

// Every third file has all the names its file system allows.
class CrowdedDisk final : public ForwardingDisk {
 public:
  using ForwardingDisk::ForwardingDisk;
  os::Sys<void> link(int from_directory, const std::string& from, int to_directory,
                     const std::string& to) override {
    if (++asked % 3 == 0) {
      ++refused;
      return os::Errno{EMLINK};
    }
    return under_.link(from_directory, from, to_directory, to);
  }
  int asked = 0;
  int refused = 0;
};

}  // namespace

TEST_CASE("a file that cannot have one more name is copied into the farm") {
  const auto kernel = os::make_kernel_disk();
  CrowdedDisk disk(*kernel);
  FilesBench bench(disk);
  for (int i = 0; i < 20; ++i) bench.write("d/" + std::to_string(i), std::to_string(i * i));
  auto first = Carrier(bench.carry(kRunOne)).run();
  REQUIRE(first);
  component::Context context;
  context.run = kRunTwo;
  auto staging = bench.component->target()->stage(context, {bench.target, first->version, false});
  REQUIRE(staging);
  REQUIRE((*staging)->remove("d/7"));
  auto second = (*staging)->seal();
  if (!second) FAIL(second.error().text());
  REQUIRE(second->native.find("link-farm") != std::string::npos);
  CHECK(disk.refused > 3);
  auto expected = FilesBench::contents(bench.tree());
  expected.erase("d/7");
  CHECK(FilesBench::contents(bench.component->target()->path_of(*second)) == expected);
}

TEST_CASE("after a sync that failed the staging is given up, even where the next would succeed") {
  const auto kernel = os::make_kernel_disk();
  UnsyncableDisk disk(*kernel);
  FilesBench bench(disk);
  component::Context context;
  context.run = kRunOne;
  auto staging = bench.component->target()->stage(context, {bench.target, std::nullopt, false});
  REQUIRE(staging);
  component::Entry root;
  root.kind = component::EntryKind::directory;
  root.mode = 0755;
  root.uid = ::geteuid();
  root.gid = ::getegid();
  REQUIRE((*staging)->begin(root, component::Action::create));
  REQUIRE((*staging)->finish());
  disk.fail = 1;
  auto failed = (*staging)->checkpoint();
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::target_write);
  CHECK_FALSE((*staging)->checkpoint());
  CHECK_FALSE((*staging)->begin(root, component::Action::create));
  CHECK_FALSE((*staging)->leave_directory(root));
  auto sealed = (*staging)->seal();
  REQUIRE_FALSE(sealed);
  CHECK(sealed.error().code == ErrorCode::target_write);
  REQUIRE((*staging)->abandon());
  auto listed = bench.component->target()->list(bench.target);
  REQUIRE(listed);
  CHECK(listed->empty());
}

TEST_CASE("a full target fails with no-space wherever it strikes, and nothing partial is seen") {
  const auto kernel = os::make_kernel_disk();
  FaultyDisk disk(*kernel);
  FilesBench bench(disk);
  bench.write("a/one", std::string(20'000, 'x'));
  bench.write("b/two", std::string(20'000, 'y'));
  component::Context context;
  context.run = kRunOne;
  for (const std::uint64_t bytes : {0U, 1U, 10'000U, 20'000U, 30'000U}) {
    INFO(bytes);
    disk.full_after(bytes, bench.top / "south");
    auto made = Carrier(bench.carry(kRunOne)).run();
    REQUIRE_FALSE(made);
    CHECK(made.error().code == ErrorCode::no_space);
    auto found = bench.component->target()->find(context, bench.target);
    REQUIRE(found);
    CHECK_FALSE(found->has_value());
  }
  disk.free_space();
  auto made = Carrier(bench.carry(kRunOne)).run();
  if (!made) FAIL(made.error().text());
  CHECK(FilesBench::contents(bench.component->target()->path_of(made->version)) ==
        FilesBench::contents(bench.tree()));
  auto listed = bench.component->target()->list(bench.target);
  REQUIRE(listed);
  CHECK(listed->size() == 1);
  INFO("a restore that does not fit leaves nothing at its place");
  disk.full_after(15'000, bench.top / "back");
  auto restored = bench.component->target()->restore(context, made->version,
                                                     {bench.top / "back/here", {}}, "", false);
  REQUIRE_FALSE(restored);
  CHECK(restored.error().code == ErrorCode::no_space);
  CHECK((!fs::exists(bench.top / "back") || fs::is_empty(bench.top / "back")));
}

TEST_CASE("a file that cannot be read is named, and told apart from the target") {
  const auto kernel = os::make_kernel_disk();
  FaultyDisk disk(*kernel);
  FilesBench bench(disk);
  bench.write("a/one", std::string(200'000, 'x'));
  disk.fail_read("a/one", 150'000);
  auto made = Carrier(bench.carry(kRunOne)).run();
  REQUIRE_FALSE(made);
  CHECK(made.error().code == ErrorCode::source_read);
  CHECK(made.error().where == bench.tree() + "/a/one");
  disk.heal();
  auto source = bench.component->sources()->open(bench.version(kRunOne));
  REQUIRE(source);
  auto entries = entries_of(**source);
  REQUIRE(entries);
  disk.fail_open("one", EACCES);
  auto refused = (*source)->open(entries->back());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::source_read);
  CHECK(refused.error().hint.find("root") != std::string::npos);
  disk.heal();
  REQUIRE(Carrier(bench.carry(kRunOne)).run());
}

TEST_CASE("an entry that may have changed in the tick of its pin proves nothing") {
  const auto kernel = os::make_kernel_disk();
  FilesBench bench(*kernel);
  bench.write("one", "x");
  const auto entry_with = [&](std::int64_t settled_before) {
    auto native = files::native_from_text(bench.version(kRunOne).native);
    REQUIRE(native);
    native->settled_before_ns = settled_before;
    component::Version version = bench.version(kRunOne);
    version.native = files::to_text(*native);
    auto source = bench.component->sources()->open(version);
    REQUIRE(source);
    auto entries = entries_of(**source);
    REQUIRE(entries);
    component::Entry entry = entries->back();
    REQUIRE(entry.path == "one");
    return std::pair(std::move(*source), entry);
  };
  const auto [source, settled] = entry_with(0);
  CHECK(source->unchanged(settled, settled));
  CHECK(settled.native.inode != 0);
  const auto [other, racy] = entry_with(settled.native.ctime_ns);
  CHECK_FALSE(other->unchanged(racy, racy));
  CHECK_FALSE(other->unchanged(settled, racy));
  component::Entry changed = settled;
  changed.native.ctime_ns += 1;
  CHECK_FALSE(source->unchanged(settled, changed));
  changed = settled;
  changed.xattrs = {{"user.x", "y"}};
  CHECK_FALSE(source->unchanged(settled, changed));
}
