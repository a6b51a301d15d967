// What btrfs tells of changes and what a walk finds come to the same, generation after generation:
// the same packs, the same manifest. Needs the right to mount; without it this says so and is
// skipped.
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <iostream>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/components/files/files.hpp"
#include "common/components/files/native.hpp"
#include "common/os/processes.hpp"
#include "common/stream/manifest_reader.hpp"
#include "common/stream/planner.hpp"
#include "tests/unit/stream/trees.hpp"

using namespace lockstep;
using namespace lockstep::test;
using component::Entry;

namespace {

// The same source, which tells nothing of changes.
class Walking final : public component::Source {
 public:
  explicit Walking(component::Source& under) : under_(under) {}
  Result<std::unique_ptr<component::EntryCursor>> entries() override { return under_.entries(); }
  Result<std::unique_ptr<component::EntryReader>> open(const Entry& entry) override {
    return under_.open(entry);
  }
  bool unchanged(const Entry& before, const Entry& now) const override {
    return under_.unchanged(before, now);
  }
  Result<std::optional<std::vector<component::Extent>>> changed_extents(
      const Entry& entry, const component::Version& base) override {
    return under_.changed_extents(entry, base);
  }

 private:
  component::Source& under_;
};

struct Planned {
  stream::ManifestSummary summary;
  stream::Digest128 chain{};  // of all packs
};

class Bench {
 public:
  Bench() : mount("btrfs", "1G") {
    if (!mount.mounted()) {
      std::cerr << "SKIPPED: changes told by btrfs need the right to mount a loop device\n";
      return;
    }
    component = files::make_files({*disk, *processes, *clock, state.path()});
    const int top = ::open(mount.path().c_str(), O_RDONLY | O_DIRECTORY);
    REQUIRE(disk->create_subvolume(top, "data"));
    ::close(top);
    set.id = {"orders", "invoices"};
    set.component = "files";
    set.place.location = subvolume();
  }

  std::string subvolume() const { return mount.path() + "/data"; }

  component::Version pin(int generation) {
    component::Context context;
    context.run = "run-" + std::to_string(100000 + generation);
    auto armed = component->snapshots()->arm(context, set, clock->utc());
    if (!armed) FAIL(armed.error().text());
    auto pinned = (*armed)->pin();
    if (!pinned) FAIL(pinned.error().text());
    CHECK(pinned->method == "btrfs-snapshot");
    return pinned->version;
  }

  void drop(const component::Version& version) {
    REQUIRE(component->snapshots()->drop({}, version));
  }

  Planned plan(component::Source& source, const std::string& manifest,
               const std::string& base_manifest, const component::Version* base) {
    stream::PlanJob job;
    job.source = &source;
    job.manifest_part = manifest;
    job.base_manifest = base_manifest;
    if (base != nullptr) job.base = *base;
    stream::PackBuilder builder("transfer", 1, [](stream::RawPack) -> Result<void> { return {}; });
    auto summary = stream::plan(*disk, job, builder);
    if (!summary) FAIL(summary.error().text());
    return {*summary, builder.chain()};
  }

  std::unique_ptr<component::Source> open(const component::Version& version) {
    auto opened = component->sources()->open(version);
    if (!opened) FAIL(opened.error().text());
    return std::move(*opened);
  }

  LoopMount mount;
  Scratch state;
  std::unique_ptr<os::Disk> disk = os::make_kernel_disk();
  std::unique_ptr<os::Processes> processes = os::make_system_processes();
  std::unique_ptr<Clock> clock = make_system_clock();
  std::unique_ptr<component::Component> component;
  component::DataSet set;
};

// Somebody who does to a tree whatever can be done to it.
class Mischief {
 public:
  Mischief(std::string root, unsigned seed) : root_(std::move(root)), random_(seed) {}

  void act() {
    look();
    switch (below(26)) {
      case 0:
      case 1:
        return make_file(fresh());
      case 2:
        return make_file(fresh(), 200'000 + below(300'000));
      case 3:
        fs::create_directory(fresh(), ignored_);
        return;
      case 4:
        return make_deep(fresh());
      case 5:
      case 6:
        return change(pick(files_));
      case 7:
        return change_and_hide(pick(files_));
      case 8:
        fs::resize_file(pick(files_), below(5000), ignored_);
        return;
      case 9:
        (void)::chmod(pick(all_).c_str(), below(512) | 0200);
        return;
      case 10:
        (void)::lchown(pick(all_).c_str(), below(100), below(100));
        return;
      case 11:
        (void)::lsetxattr(pick(all_).c_str(), "user.word", "x", below(2), 0);
        return;
      case 12:
        (void)::lremovexattr(pick(all_).c_str(), "user.word");
        return;
      case 13:
        return set_times(pick(all_), static_cast<long>(below(1'000'000)));
      case 14:
      case 15:
        fs::rename(pick(files_), fresh(), ignored_);
        return;
      case 16:
      case 17:
        fs::rename(pick(directories_), fresh(), ignored_);
        return;
      case 18:
        (void)::renameat2(AT_FDCWD, pick(all_).c_str(), AT_FDCWD, pick(all_).c_str(),
                          RENAME_EXCHANGE);
        return;
      case 19:
      case 20:
        fs::create_hard_link(pick(files_), fresh(), ignored_);
        return;
      case 21:
        fs::remove(pick(files_), ignored_);
        return;
      case 22:
        if (below(3) == 0) remove_tree(pick(directories_));
        return;
      case 23:
        fs::create_symlink(pick(all_), fresh(), ignored_);
        return;
      case 24:
        return replace(pick(all_));
      default:
        fs::rename(pick(files_), pick(files_), ignored_);
        return;
    }
  }

 private:
  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }

  // Kept as they are listed: directories[0] is the root, which nothing is done to but metadata.
  void look() {
    files_.clear();
    directories_ = {root_};
    all_ = {root_};
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      if (entry.path().filename() == ".lockstep") continue;
      all_.push_back(entry.path());
      if (entry.is_symlink()) continue;
      if (entry.is_directory()) directories_.push_back(entry.path());
      if (entry.is_regular_file()) files_.push_back(entry.path());
    }
    std::sort(all_.begin(), all_.end());
    std::sort(files_.begin(), files_.end());
    std::sort(directories_.begin() + 1, directories_.end());
  }
  std::string pick(const std::vector<std::string>& from) {
    return from.empty() ? root_ + "/nothing" : from[below(static_cast<unsigned>(from.size()))];
  }
  // A new name, or now and then one that is there.
  std::string fresh() {
    static const char* const kNames[] = {"a",        "b",     "c",    "a-b",     "z",
                                         "kept.tmp", "cache", "\x01", "o257-9-0"};
    const std::string in = pick(directories_);
    return in + "/" + (below(3) == 0 ? "n" + std::to_string(below(1000)) : kNames[below(9)]);
  }

  void make_file(const std::string& path, std::size_t size = 0) {
    // Opening a FIFO for writing would wait for a reader.
    if (fs::is_fifo(path, ignored_)) fs::remove(path, ignored_);
    std::ofstream(path, std::ios::binary)
        << random_bytes(size == 0 ? below(3000) : size, below(1u << 30));
  }
  void remove_tree(const std::string& path) {
    if (path != root_) fs::remove_all(path, ignored_);
  }
  void make_deep(const std::string& path) {
    fs::create_directories(path + "/x/y", ignored_);
    make_file(path + "/x/y/f");
    make_file(path + "/x/g");
    fs::create_hard_link(path + "/x/g", path + "/a", ignored_);
  }
  void change(const std::string& path) {
    if (fs::exists(path)) overwrite(path, below(4000), random_bytes(8, below(1u << 30)));
  }
  // Same size, same mtime: only the ctime tells.
  void change_and_hide(const std::string& path) {
    struct ::stat before {};
    if (::stat(path.c_str(), &before) != 0 || before.st_size < 8) return;
    overwrite(path, 0, random_bytes(8, below(1u << 30)));
    const ::timespec times[2] = {before.st_atim, before.st_mtim};
    ::utimensat(AT_FDCWD, path.c_str(), times, 0);
  }
  static void set_times(const std::string& path, long seconds) {
    const ::timespec times[2] = {{seconds, 1}, {seconds, 2}};
    ::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
  }
  void replace(const std::string& path) {
    if (path == root_) return;
    fs::remove_all(path, ignored_);
    switch (below(4)) {
      case 0:
        return make_file(path);
      case 1:
        return make_deep(path);
      case 2:
        (void)::mkfifo(path.c_str(), 0600);
        return;
      default:
        fs::create_symlink("elsewhere", path, ignored_);
    }
  }

  std::string root_;
  std::mt19937_64 random_;
  std::error_code ignored_;
  std::vector<std::string> all_;
  std::vector<std::string> files_;
  std::vector<std::string> directories_;
};

void same_manifests(os::Disk& disk, const std::string& told, const std::string& walked) {
  auto a = stream::ManifestReader::open(disk, told);
  auto b = stream::ManifestReader::open(disk, walked);
  REQUIRE(a);
  REQUIRE(b);
  using At = stream::ManifestReader::At;
  while (true) {
    auto at_a = a->next();
    auto at_b = b->next();
    REQUIRE(at_a);
    REQUIRE(at_b);
    REQUIRE(*at_a == *at_b);
    if (*at_a == At::end) return;
    if (*at_a != At::entry) continue;
    REQUIRE(a->entry().path == b->entry().path);
    REQUIRE(a->entry().kind == b->entry().kind);
    // What the base could not vouch for (written within a tick of its pin) is read anew for longer.
    INFO(a->entry().path << ": told " << a->entry().native.inode << " "
                         << a->entry().native.ctime_ns << ", walked " << b->entry().native.inode
                         << " " << b->entry().native.ctime_ns);
    if (a->entry().native.inode != 0) REQUIRE(a->entry().native == b->entry().native);
  }
}

std::uint64_t listed(component::Source& source, const component::Version& base) {
  auto changes = source.changes(base);
  REQUIRE(changes);
  REQUIRE(*changes != nullptr);
  std::uint64_t count = 0;
  while (true) {
    auto change = (*changes)->next();
    REQUIRE(change);
    if (!change->has_value()) return count;
    ++count;
  }
}

bool full_tier() {
  const char* full = std::getenv("LOCKSTEP_TEST_FULL");
  return full != nullptr && *full != '\0';
}

// `mischief` is done below `where`, which may be more than the set.
void compare_generations(Bench& bench, const std::string& where, unsigned seed) {
  const int generations = full_tier() ? 300 : 25;
  Mischief mischief(where, seed);
  component::Version base;
  std::string base_manifest;
  for (int generation = 0; generation < generations; ++generation) {
    INFO("seed " << seed << ", generation " << generation);
    // The first ones are large, some are empty.
    const int acts = generation == 0 ? 150 : generation % 6 == 5 ? 0 : 12;
    for (int i = 0; i < acts; ++i) mischief.act();
    const component::Version version = bench.pin(generation);
    const auto source = bench.open(version);
    const std::string told = bench.state / ("told-" + std::to_string(generation));
    const std::string walked = bench.state / "walked";
    const component::Version* before = generation == 0 ? nullptr : &base;
    const Planned by_telling = bench.plan(*source, told, base_manifest, before);
    Walking walking(*source);
    const Planned by_walking = bench.plan(walking, walked, base_manifest, before);
    REQUIRE(by_telling.summary.root == by_walking.summary.root);
    REQUIRE(by_telling.summary.entries == by_walking.summary.entries);
    REQUIRE(by_telling.summary.bytes == by_walking.summary.bytes);
    REQUIRE(by_telling.chain == by_walking.chain);
    same_manifests(*bench.disk, told, walked);
    if (generation > 0) {
      const std::uint64_t count = listed(*source, base);
      if (acts == 0) CHECK(count == 1);  // the root
      INFO("and nothing was kept that is not so: all read anew");
      REQUIRE(bench.plan(walking, walked, "", nullptr).summary.root == by_telling.summary.root);
      bench.drop(base);
    }
    base = version;
    base_manifest = told;
  }
  bench.drop(base);
}

}  // namespace

TEST_CASE("what btrfs tells of changes and what a walk finds come to the same") {
  for (const unsigned seed : {1U, 2U}) {
    Bench bench;
    if (!bench.mount.mounted()) return;
    compare_generations(bench, bench.subvolume(), seed);
  }
}

TEST_CASE("changes of a set inside a subvolume, with things left out, come to the same") {
  for (const unsigned seed : {3U, 4U}) {
    Bench bench;
    if (!bench.mount.mounted()) return;
    fs::create_directories(bench.subvolume() + "/srv/orders");
    fs::create_directories(bench.subvolume() + "/other");
    bench.set.place.location = bench.subvolume() + "/srv/orders";
    bench.set.exclude = {"*.tmp", "cache/"};
    // Mischief inside the set, and such as moves things in and out of it.
    Mischief inside(bench.set.place.location, seed);
    for (int i = 0; i < 100; ++i) inside.act();
    compare_generations(bench, bench.subvolume() + "/srv/orders", seed);
  }
}

TEST_CASE("a set's own directory that was replaced, and names moved in and out of it, are seen") {
  Bench bench;
  if (!bench.mount.mounted()) return;
  const std::string data = bench.subvolume();
  fs::create_directories(data + "/srv/orders/d");
  fs::create_directories(data + "/srv/old/d");
  write(data + "/srv/orders/d/f", "in the set");
  write(data + "/srv/old/d/f", "not in it, yet");
  write(data + "/srv/old/linked", "with two names");
  fs::create_hard_link(data + "/srv/old/linked", data + "/srv/orders/m");
  bench.set.place.location = data + "/srv/orders";
  const auto before = bench.pin(1);
  const std::string first = bench.state / "first";
  bench.plan(*bench.open(before), first, "", nullptr);

  const auto same_both_ways = [&](const component::Version& now, const component::Version& base,
                                  const std::string& manifest) {
    const auto source = bench.open(now);
    Walking walking(*source);
    CHECK(listed(*source, base) > 1);
    const Planned told = bench.plan(*source, bench.state / "told", manifest, &base);
    const Planned walked = bench.plan(walking, bench.state / "walked", manifest, &base);
    CHECK(told.summary.root == walked.summary.root);
    CHECK(told.chain == walked.chain);
  };
  SECTION("names moved in and out") {
    fs::rename(data + "/srv/old/d", data + "/srv/orders/e");
    fs::rename(data + "/srv/orders/d", data + "/srv/old/d");
    fs::create_hard_link(data + "/srv/old/linked", data + "/srv/orders/a");
    same_both_ways(bench.pin(2), before, first);
  }
  SECTION("a file changed by a name outside the set") {
    write(data + "/srv/old/linked", "another content");
    same_both_ways(bench.pin(2), before, first);
  }
  SECTION("a first name moved out of the set") {
    fs::create_hard_link(data + "/srv/orders/d/f", data + "/srv/orders/z");
    const auto linked = bench.pin(2);
    const std::string second = bench.state / "second";
    bench.plan(*bench.open(linked), second, first, &before);
    fs::rename(data + "/srv/orders/d", data + "/srv/old/moved");
    same_both_ways(bench.pin(3), linked, second);
  }
  SECTION("a file changed by a name that is left out") {
    bench.set.exclude = {"*.tmp"};
    fs::create_hard_link(data + "/srv/orders/d/f", data + "/srv/orders/a.tmp");
    const auto linked = bench.pin(2);
    const std::string second = bench.state / "second";
    bench.plan(*bench.open(linked), second, "", nullptr);
    write(data + "/srv/orders/a.tmp", "another content");
    same_both_ways(bench.pin(3), linked, second);
  }
  SECTION("the set's directory replaced by another") {
    fs::rename(data + "/srv/orders", data + "/srv/aside");
    fs::rename(data + "/srv/old", data + "/srv/orders");
    same_both_ways(bench.pin(2), before, first);
  }
  SECTION("the directory above the set replaced by another") {
    fs::rename(data + "/srv", data + "/was");
    fs::create_directories(data + "/srv");
    fs::rename(data + "/was/old", data + "/srv/orders");
    // The store, and the base in it, went along with the old one: all is walked.
    CHECK(*bench.open(bench.pin(2))->changes(before) == nullptr);
  }
}

TEST_CASE("where btrfs will not tell, or other things are left out, all is walked") {
  Bench bench;
  if (!bench.mount.mounted()) return;
  write(bench.subvolume() + "/f", "x");
  const auto one = bench.pin(1);
  const auto two = bench.pin(2);
  CHECK(*bench.open(two)->changes(one) != nullptr);
  CHECK(*bench.open(one)->changes(one) == nullptr);
  bench.set.exclude = {"*.tmp"};
  const auto three = bench.pin(3);
  CHECK(*bench.open(three)->changes(two) == nullptr);
  // An ordinary user may read the snapshots, and not ask.
  const auto source = bench.open(two);
  REQUIRE(::seteuid(65534) == 0);
  const auto refused = source->changes(one);
  REQUIRE(::seteuid(0) == 0);
  REQUIRE(refused);
  CHECK(*refused == nullptr);
  bench.drop(one);
  CHECK(*bench.open(two)->changes(one) == nullptr);
}

TEST_CASE("a base that was changed since it was made, or shows another subvolume, is no hint") {
  Bench bench;
  if (!bench.mount.mounted()) return;
  write(bench.subvolume() + "/f", "x");
  const auto one = bench.pin(1);
  const auto tree_of = [](const component::Version& version) {
    auto native = files::native_from_text(version.native);
    REQUIRE(native);
    return native->tree;
  };
  SECTION("changed by somebody") {
    const os::Fd tree{::open(tree_of(one).c_str(), O_RDONLY | O_DIRECTORY)};
    REQUIRE(bench.disk->set_subvolume_read_only(tree.get(), false));
    write(tree_of(one) + "/g", "by somebody");
    REQUIRE(bench.disk->syncfs(tree.get()));
    REQUIRE(bench.disk->set_subvolume_read_only(tree.get(), true));
    CHECK(*bench.open(bench.pin(2))->changes(one) == nullptr);
  }
  SECTION("the set was put in place anew, from what was there before the base") {
    write(bench.subvolume() + "/f", "changed before the base");
    const auto two = bench.pin(2);
    const os::Fd top{::open(bench.mount.path().c_str(), O_RDONLY | O_DIRECTORY)};
    const os::Fd tree{::open(tree_of(one).c_str(), O_RDONLY | O_DIRECTORY)};
    REQUIRE(bench.disk->snapshot_subvolume(top.get(), "anew", tree.get(), false));
    fs::rename(bench.subvolume(), bench.subvolume() + "-aside");
    fs::rename(bench.mount.path() + "/anew", bench.subvolume());
    CHECK(*bench.open(bench.pin(3))->changes(two) == nullptr);
  }
}
