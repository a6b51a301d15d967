// The Source and the Target of files, on btrfs, XFS and ext4 on loop devices, on the machine's own
// temporary file system and on tmpfs. Without the right to mount, each that needs it says so and is
// skipped.
#include "common/components/files/files.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>

#include "common/os/disk.hpp"
#include "common/os/processes.hpp"
#include "tests/conformance/source_target_suite.hpp"
#include "tests/support/scratch.hpp"

namespace {

using namespace lockstep;
namespace fs = std::filesystem;

struct Bench {
  explicit Bench(const std::string& kind) {
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
  const std::string kind = GENERATE("btrfs", "xfs", "ext4", "tmp", "shm");
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
