// Pins of files on btrfs, XFS and ext4, on loop devices. Without the right to mount, each says so
// and is skipped.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <thread>

#include "common/components/files/native.hpp"
#include "common/components/files/pins.hpp"
#include "common/components/files/store.hpp"
#include "common/os/processes.hpp"
#include "tests/conformance/snapshots_suite.hpp"
#include "tests/support/differences.hpp"
#include "tests/support/scratch.hpp"

namespace {

using namespace lockstep;
namespace fs = std::filesystem;
using test::differences;
using test::output_of;
using test::shell;

const std::string kRun = "01930000-0000-7000-8000-00000000000a";
const std::string kRun2 = "01930000-0000-7000-8000-00000000000b";

// Names, metadata and content in text.
std::string tree_text(const std::string& path) {
  return output_of(
      "cd '" + path +
      "' && find . -path ./.lockstep -prune -o -printf '%P %y %m %U %G %s %T@ %l\\n' | "
      "sort && find . -path ./.lockstep -prune -o -type f -print0 | sort -z | xargs -0r "
      "sha256sum");
}

std::string tree_of(const component::Version& version) {
  auto native = files::native_from_text(version.native);
  REQUIRE(native);
  return native->tree;
}

// One of everything that is carried.
void fill(const std::string& at) {
  shell("mkdir -p '" + at + "' && cd '" + at + R"sh('
    mkdir -p a/deep/er b 'with blank' empty
    for i in $(seq 1 40); do echo "invoice $i" > a/invoice-$i; done
    head -c 3000000 /dev/urandom > b/big
    truncate -s 20M b/sparse; printf tail | dd of=b/sparse bs=1 seek=10000000 conv=notrunc status=none
    echo linked > a/first; ln a/first b/second; ln a/first 'with blank/third'
    ln -s ../a/first b/link; ln -s /nowhere/at/all dangling
    mkfifo b/fifo; mknod b/null c 1 3
    printf 'x' > "$(printf 'bytes-\377')"; : > 'a-b'; : > a/zero
    setfattr -n user.colour -v red a/first; setfattr -n trusted.kept -v yes b/big
    setfattr -h -n trusted.onlink -v yes dangling; setfattr -n user.dir -v d b
    setfacl -m u:12345:r a/invoice-1; setfacl -d -m g:54321:rwx a/deep; : > a/deep/inherits
    chown 1234:5678 a/invoice-3; chmod 4755 a/invoice-2; chmod 0 a/invoice-4; chmod 0500 'with blank'
    touch -d '1969-07-20T20:17:40.123456789Z' a/invoice-5; touch -d 2001-02-03T04:05:06.7 empty
  )sh");
}

struct Bench {
  explicit Bench(const std::string& kind) : mount(kind, "600M") {
    if (mount.mounted()) {
      location = mount.path() + "/data/invoices";
      fs::create_directories(mount.path() + "/data");
    } else {
      std::cerr << "SKIPPED: pins on " << kind << " need the right to mount a loop device\n";
    }
  }

  component::DataSet set() const {
    component::DataSet set;
    set.id = {"orders", "invoices"};
    set.component = "files";
    set.place.location = location;
    return set;
  }

  Result<component::Pinned> pin(const component::DataSet& set, const std::string& run) {
    auto armed = snapshots->arm(test::context_of(run), set, clock->utc());
    if (!armed) return std::move(armed).error();
    auto pinned = (*armed)->pin();
    if (!pinned) return pinned;
    auto settled = (*armed)->settle(test::context_of(run));
    if (!settled) return std::move(settled).error();
    return pinned;
  }

  std::size_t left() {
    auto listed = snapshots->list(set());
    REQUIRE(listed);
    return listed->size();
  }

  test::LoopMount mount;
  test::Scratch state;
  std::string location;
  std::unique_ptr<os::Disk> disk = os::make_kernel_disk();
  std::unique_ptr<os::Processes> processes = os::make_system_processes();
  std::unique_ptr<Clock> clock = make_system_clock();
  std::unique_ptr<component::Snapshots> snapshots =
      files::make_file_snapshots({*disk, *processes, *clock, state.path()});
};

const char* expected_method(const std::string& kind) {
  return kind == "btrfs" ? "btrfs-snapshot" : kind == "xfs" ? "reflink-clone" : "copy";
}

}  // namespace

TEST_CASE("The suite of Snapshots, on each file system", "[files][pins]") {
  const std::string kind = GENERATE("btrfs", "xfs", "ext4");
  Bench bench(kind);
  if (!bench.mount.mounted()) return;
  fill(bench.location);
  test::run_snapshots_suite(
      {.snapshots = *bench.snapshots,
       .set = bench.set(),
       .clock = *bench.clock,
       .change =
           [&bench] {
             shell("cd '" + bench.location +
                   "' && echo more >> a/invoice-7 && rm a/invoice-8 && mv a/invoice-9 b/moved && "
                   "ln a/first a/fourth && mkdir fresh && echo new > fresh/file");
           },
       .live = [&bench] { return tree_text(bench.location); },
       .shown = [](const component::Version& version) { return tree_text(tree_of(version)); }});
}

TEST_CASE("A pin carries everything, hard links and holes too", "[files][pins]") {
  const std::string kind = GENERATE("btrfs", "xfs", "ext4");
  Bench bench(kind);
  if (!bench.mount.mounted()) return;
  fill(bench.location);
  auto first = bench.pin(bench.set(), kRun);
  if (!first) FAIL(first.error().text());
  CHECK(first->method == expected_method(kind));
  CHECK(first->one_instant == (kind == "btrfs"));
  CHECK(differences(bench.location, tree_of(first->version)) == "");

  // And again on top of it, with changes of every sort.
  shell("cd '" + bench.location + R"sh('
    rm b/second; ln b/big b/big-too; chmod 600 a/invoice-10; setfattr -n user.new -v 1 a/invoice-11
    rm -r empty; echo now-a-file > empty; rm dangling; mkdir dangling; echo in > dangling/side
    mv a/deep moved; setfacl -b a/invoice-1; rm b/null; mkfifo b/null; touch -d 2011-11-11 b
  )sh");
  auto second = bench.pin(bench.set(), kRun2);
  if (!second) FAIL(second.error().text());
  CHECK(differences(bench.location, tree_of(second->version)) == "");
  if (kind != "btrfs") {
    INFO("what did not change is shared with the pin before");
    CHECK(fs::equivalent(tree_of(first->version) + "/b/sparse",
                         tree_of(second->version) + "/b/sparse"));
    CHECK_FALSE(fs::equivalent(tree_of(first->version) + "/a/invoice-10",
                               tree_of(second->version) + "/a/invoice-10"));
  }
  REQUIRE(bench.snapshots->drop(test::context_of(kRun), first->version));
  CHECK(differences(bench.location, tree_of(second->version)) == "");
}

TEST_CASE("A set that is a subvolume, a plain directory, or the whole file system",
          "[files][pins]") {
  Bench bench("btrfs");
  if (!bench.mount.mounted()) return;
  const std::string where = GENERATE("subvolume", "deep", "top");
  if (where == "subvolume") {
    shell("btrfs -q subvolume create '" + bench.location + "'");
  } else if (where == "deep") {
    bench.location = bench.mount.path() + "/data/one/two";
  } else {
    bench.location = bench.mount.path();
  }
  fill(bench.location);
  auto pinned = bench.pin(bench.set(), kRun);
  if (!pinned) FAIL(pinned.error().text());
  CHECK(pinned->method == "btrfs-snapshot");
  CHECK(differences(bench.location, tree_of(pinned->version)) == "");
  auto native = files::native_from_text(pinned->version.native);
  REQUIRE(native);
  CHECK(native->form == "subvolume");
  CHECK(native->uuid.size() == 32);
  auto found = bench.snapshots->find(test::context_of(kRun), bench.set());
  REQUIRE(found);
  REQUIRE(found->has_value());
  REQUIRE(bench.snapshots->drop(test::context_of(kRun), **found));
  CHECK(bench.left() == 0);
}

TEST_CASE("A mount or subvolume inside the set is named and refused, unless it is left out",
          "[files][pins]") {
  const std::string kind = GENERATE("btrfs", "xfs");
  const bool mounted = GENERATE(true, false);
  if (kind == "xfs" && !mounted) return;
  Bench bench(kind);
  if (!bench.mount.mounted()) return;
  fs::create_directories(bench.location + "/sub");
  const std::string inside = bench.location + "/sub/inside";
  if (mounted) {
    shell("mkdir '" + inside + "' && mount -t tmpfs none '" + inside + "'");
  } else {
    shell("btrfs -q subvolume create '" + inside + "'");
  }
  auto refused = bench.pin(bench.set(), kRun);
  component::DataSet without = bench.set();
  without.exclude = {"sub/inside"};
  auto pinned = bench.pin(without, kRun);
  if (mounted) shell("umount '" + inside + "'");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::nested_mount);
  CHECK(refused.error().where.find("sub/inside") != std::string::npos);
  if (!pinned) FAIL(pinned.error().text());
}

TEST_CASE("Subvolumes beside the set, in a directory of a like name or in the store, do not matter",
          "[files][pins]") {
  Bench bench("btrfs");
  if (!bench.mount.mounted()) return;
  fill(bench.location);
  shell("btrfs -q subvolume create '" + bench.mount.path() + "/beside'");
  shell("mkdir '" + bench.location + "-too' && btrfs -q subvolume create '" + bench.location +
        "-too/one'");
  auto first = bench.pin(bench.set(), kRun);
  if (!first) FAIL(first.error().text());
  // The first pin is a subvolume of its own by now.
  auto second = bench.pin(bench.set(), kRun2);
  if (!second) FAIL(second.error().text());
  CHECK(second->method == "btrfs-snapshot");
  CHECK(differences(bench.location, tree_of(second->version)) == "");
}

TEST_CASE("What a subvolume left that was nested where the set was copied from is refused at arm",
          "[files][pins]") {
  Bench bench("btrfs");
  if (!bench.mount.mounted()) return;
  const std::string from = bench.mount.path() + "/from";
  shell("btrfs -q subvolume create '" + from + "' && mkdir '" + from +
        "/d' && btrfs -q subvolume create '" + from +
        "/d/nested' && btrfs -q subvolume snapshot '" + from + "' '" + bench.location + "'");
  auto refused = bench.pin(bench.set(), kRun);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::nested_mount);
  CHECK(refused.error().where.find("d/nested") != std::string::npos);
}

TEST_CASE(
    "A set whose place is another directory of its subvolume, mounted there, is pinned as it is",
    "[files][pins]") {
  Bench bench("btrfs");
  if (!bench.mount.mounted()) return;
  const std::string real = bench.mount.path() + "/elsewhere/data";
  fs::create_directories(real);
  fill(real);
  fs::create_directories(bench.location);
  shell("mount --bind '" + real + "' '" + bench.location + "'");
  auto pinned = bench.pin(bench.set(), kRun);
  const std::string seen = pinned ? differences(real, tree_of(pinned->version)) : "";
  shell("umount '" + bench.location + "'");
  if (!pinned) FAIL(pinned.error().text());
  CHECK(seen == "");
}

TEST_CASE("btrfs: a pin under a running writer is of one instant", "[files][pins]") {
  Bench bench("btrfs");
  if (!bench.mount.mounted()) return;
  fs::create_directories(bench.location);
  // Writes the referred file first, then the referrer: an instant never shows a referrer alone.
  std::jthread writer([&bench](std::stop_token stop) {
    for (int i = 0; !stop.stop_requested(); ++i) {
      std::ofstream(bench.location + "/item-" + std::to_string(i)) << "item";
      std::ofstream(bench.location + "/index", std::ios::app) << i << "\n";
      if (i % 3 == 2) {
        // and takes away in the other order
        std::ofstream(bench.location + "/index", std::ios::trunc) << "";
        for (int j = i - 2; j <= i; ++j) fs::remove(bench.location + "/item-" + std::to_string(j));
      }
    }
  });
  for (int round = 0; round < 20; ++round) {
    const std::string run = "01930000-0000-7000-8000-0000000001" + std::to_string(10 + round);
    auto pinned = bench.pin(bench.set(), run);
    if (!pinned) FAIL(pinned.error().text());
    const std::string tree = tree_of(pinned->version);
    std::ifstream index(tree + "/index");
    for (std::string number; std::getline(index, number);) {
      CHECK(fs::exists(tree + "/item-" + number));
    }
    REQUIRE(bench.snapshots->drop(test::context_of(run), pinned->version));
  }
}

TEST_CASE("A fence that holds from sync to proof makes a tree of one instant", "[files][pins]") {
  const std::string kind = GENERATE("xfs", "ext4");
  Bench bench(kind);
  if (!bench.mount.mounted()) return;
  fill(bench.location);
  std::mutex fence;
  std::jthread writer([&bench, &fence](std::stop_token stop) {
    for (int i = 0; !stop.stop_requested(); ++i) {
      {
        const std::lock_guard held(fence);
        std::ofstream(bench.location + "/item-" + std::to_string(i % 50)) << i;
        std::ofstream(bench.location + "/index", std::ios::app) << i << "\n";
        if (i % 7 == 0) fs::remove(bench.location + "/item-" + std::to_string((i + 9) % 50));
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
  component::DataSet set = bench.set();
  set.fenced_from_outside = true;
  for (int round = 0; round < 5; ++round) {
    const std::string run = "01930000-0000-7000-8000-0000000001" + std::to_string(10 + round);
    auto armed = bench.snapshots->arm(test::context_of(run), set, bench.clock->utc());
    if (!armed) FAIL(armed.error().text());
    CHECK((*armed)->estimate().needs_fence);
    CHECK((*armed)->estimate().pin > Nanos{0});
    std::string live;
    Result<component::Pinned> pinned = make_error(ErrorCode::internal, "not made");
    {
      const std::lock_guard held(fence);
      live = tree_text(bench.location);
      pinned = (*armed)->pin();
    }
    if (!pinned) FAIL(pinned.error().text());
    REQUIRE((*armed)->settle(test::context_of(run)));
    CHECK(tree_text(tree_of(pinned->version)) == live);
    CHECK_FALSE(fs::exists(tree_of(pinned->version) + "/../links"));
  }
  CHECK(bench.left() == 5);
}

TEST_CASE("Without a fence any change fails the proof, and nothing is left", "[files][pins]") {
  const std::string kind = GENERATE("xfs", "ext4");
  const std::string how = GENERATE("write", "mapping", "chmod", "names", "xattr", "deep-rename");
  Bench bench(kind);
  if (!bench.mount.mounted()) return;
  fill(bench.location);
  // Enough to look at that no writer sleeps through the whole pin, on a busy machine either.
  shell("cd '" + bench.location + "' && mkdir many && cd many && seq 1 8000 | xargs touch");
  const std::string file = bench.location + "/b/big";
  INFO(kind + ", " + how);
  const int fd = ::open(file.c_str(), O_RDWR);
  REQUIRE(fd >= 0);
  auto* page =
      static_cast<volatile char*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  REQUIRE(page != MAP_FAILED);
  std::string refused;
  {
    std::atomic<bool> begun = false;
    std::jthread writer([&](std::stop_token stop) {
      for (int i = 0; !stop.stop_requested(); ++i) {
        if (how == "write") (void)!::pwrite(fd, &i, sizeof(i), 100);
        if (how == "mapping") page[i % 4096] = static_cast<char>(i);
        if (how == "chmod") ::chmod(file.c_str(), i % 2 == 0 ? 0644 : 0600);
        if (how == "names") {
          const std::string name = bench.location + "/a/deep/er/name";
          std::ofstream(name) << i;
          ::unlink(name.c_str());
        }
        if (how == "xattr") shell("setfattr -n user.i -v " + std::to_string(i) + " '" + file + "'");
        if (how == "deep-rename") {
          const std::string from = bench.location + "/a/deep/er";
          ::rename(from.c_str(), (from + "2").c_str());
          ::rename((from + "2").c_str(), from.c_str());
        }
        begun = true;
      }
    });
    while (!begun) std::this_thread::yield();
    auto pinned = bench.pin(bench.set(), kRun);
    refused = pinned ? "it was pinned" : error_info(pinned.error().code).name;
  }
  ::munmap(const_cast<char*>(page), 4096);
  ::close(fd);
  CHECK(refused == "set-changed");
  CHECK(bench.left() == 0);
  CHECK(output_of("find '" + bench.mount.path() + "/data/.lockstep' -mindepth 4") == "");
  INFO("once it is quiet the same call succeeds");
  auto pinned = bench.pin(bench.set(), kRun);
  if (!pinned) FAIL(pinned.error().text());
  CHECK(differences(bench.location, tree_of(pinned->version)) == "");
}

TEST_CASE("A pin that would outlast its fence is refused at arm with the remedies",
          "[files][pins]") {
  Bench bench("ext4");
  if (!bench.mount.mounted()) return;
  fill(bench.location);
  component::DataSet set = bench.set();
  set.fenced_from_outside = true;
  set.fence_timeout = milliseconds(1);
  auto armed = bench.snapshots->arm(test::context_of(kRun), set, bench.clock->utc());
  REQUIRE_FALSE(armed);
  CHECK(armed.error().code == ErrorCode::fence_too_long);
  CHECK(armed.error().hint.find("btrfs") != std::string::npos);
  CHECK(armed.error().hint.find("timeout") != std::string::npos);
  CHECK(bench.left() == 0);
}

TEST_CASE("A full file system is told before the fence, and nothing is left", "[files][pins]") {
  Bench bench("ext4");
  if (!bench.mount.mounted()) return;
  fs::create_directories(bench.location);
  shell("head -c 350M /dev/zero > '" + bench.location + "/large'");
  auto pinned = bench.pin(bench.set(), kRun);
  REQUIRE_FALSE(pinned);
  CHECK(pinned.error().code == ErrorCode::no_space);
  CHECK(bench.left() == 0);
}

TEST_CASE("What is excluded is neither pinned nor missed", "[files][pins]") {
  const std::string kind = GENERATE("btrfs", "ext4");
  Bench bench(kind);
  if (!bench.mount.mounted()) return;
  fill(bench.location);
  component::DataSet set = bench.set();
  set.exclude = {"invoice-1*", "/b/", "*.tmp"};
  auto pinned = bench.pin(set, kRun);
  if (!pinned) FAIL(pinned.error().text());
  auto native = files::native_from_text(pinned->version.native);
  REQUIRE(native);
  if (kind == "btrfs") {
    CHECK(native->exclude == set.exclude);
  } else {
    CHECK(native->exclude.empty());
    CHECK_FALSE(fs::exists(native->tree + "/a/invoice-1"));
    CHECK_FALSE(fs::exists(native->tree + "/b"));
    CHECK(fs::exists(native->tree + "/a/invoice-2"));
  }
}

TEST_CASE("Half-made pins are found and dropped", "[files][pins]") {
  Bench bench("ext4");
  if (!bench.mount.mounted()) return;
  fill(bench.location);
  auto store = files::open_store(*bench.disk, bench.location);
  REQUIRE(store);
  const std::string pins = files::set_directory(*store, files::Area::pins, bench.set().id);
  shell("mkdir -p '" + pins + "/" + kRun + "/tree/with' && chmod 0500 '" + pins + "/" + kRun +
        "/tree' && : > '" + pins + "/" + kRun2 + ".origin.part'");
  CHECK(bench.left() == 2);
  for (const std::string& run : {kRun, kRun2}) {
    auto found = bench.snapshots->find(test::context_of(run), bench.set());
    REQUIRE(found);
    REQUIRE(found->has_value());
    CHECK(bench.snapshots->drop(test::context_of(run), **found));
  }
  CHECK(bench.left() == 0);
  INFO("and drop() removes nothing but pins");
  component::Version other{{"orders", "invoices"}, "files", kRun, {}};
  other.native = files::to_text({.tree = bench.location,
                                 .hold = bench.location,
                                 .form = "tree",
                                 .uuid = {},
                                 .exclude = {},
                                 .settled_before_ns = 0});
  CHECK_FALSE(bench.snapshots->drop(test::context_of(kRun), other));
  CHECK(fs::exists(bench.location + "/a/first"));
}
