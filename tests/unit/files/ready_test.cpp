// A set on btrfs is made ready for its snapshot: what is dirty is committed, but writers are not
// held for long.
#include <chrono>
#include <thread>

#include "tests/support/forwarding_disk.hpp"
#include "tests/unit/files/bench.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

class SlowDisk final : public ForwardingDisk {
 public:
  using ForwardingDisk::ForwardingDisk;
  os::Sys<void> syncfs(int fd) override {
    ++synced;
    if (slow) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    if (broken) return os::Errno{EIO};
    return under_.syncfs(fd);
  }
  int synced = 0;
  bool slow = false;
  bool broken = false;
};

}  // namespace

TEST_CASE("a set on btrfs is synced before the fence, and under it where that was quick") {
  const LoopMount mount("btrfs", "256M");
  if (!mount.mounted()) {
    WARN("skipped: btrfs over a loop device cannot be mounted here");
    return;
  }
  const auto kernel = os::make_kernel_disk();
  SlowDisk disk(*kernel);
  FilesBench bench(disk, mount.path());
  bench.write("file", "invoice");
  component::DataSet set = bench.target;
  set.place.location = bench.tree();
  component::Context context;
  context.run = kRunOne;
  auto armed = bench.component->snapshots()->arm(context, set, bench.clock->utc());
  if (!armed) FAIL(armed.error().text());
  REQUIRE((*armed)->estimate().method == "btrfs-snapshot");

  disk.synced = 0;
  SECTION("quick") {
    REQUIRE((*armed)->ready());
    REQUIRE((*armed)->ready());
    CHECK(disk.synced == 2);
  }
  SECTION("slow") {
    disk.slow = true;
    REQUIRE((*armed)->ready());
    REQUIRE((*armed)->ready());
    CHECK(disk.synced == 1);
  }
  SECTION("a sync that fails is told") {
    disk.broken = true;
    const auto ready = (*armed)->ready();
    REQUIRE_FALSE(ready);
    CHECK(ready.error().code == ErrorCode::io);
  }
  auto pinned = (*armed)->pin();
  REQUIRE(pinned);
  disk.broken = false;
  REQUIRE(bench.component->snapshots()->drop(context, pinned->version));
}
