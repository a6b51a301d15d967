#include "services/snapshot-agent/fence/cgroup.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

using namespace lockstep;
using namespace lockstep::snapshot;

namespace {

// A cgroup with a process in it that never rests.
class BusyGroup {
 public:
  explicit BusyGroup(const std::string& mount)
      : directory(mount + "/lockstep-unit-" + std::to_string(::getpid())) {
    if (::mkdir(directory.c_str(), 0755) != 0) return;
    child_ = ::fork();
    if (child_ == 0) {
      while (true) (void)::getppid();
    }
    std::ofstream(directory + "/cgroup.procs") << child_;
    usable = true;
  }
  BusyGroup(const BusyGroup&) = delete;
  BusyGroup& operator=(const BusyGroup&) = delete;
  ~BusyGroup() {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    for (int i = 0; i < 200 && ::rmdir(directory.c_str()) != 0 && errno == EBUSY; ++i) {
      ::usleep(5000);
    }
  }

  const std::string directory;
  bool usable = false;

 private:
  pid_t child_ = -1;
};

}  // namespace

TEST_CASE("the late notice of a freeze is not taken for a thaw") {
  auto disk = os::make_kernel_disk();
  const auto clock = make_system_clock();
  const auto mount = cgroup_mount(*disk);
  if (!mount || ::geteuid() != 0) {
    WARN("SKIPPED: needs root and a mounted cgroup v2 tree");
    return;
  }
  BusyGroup group(*mount);
  REQUIRE(group.usable);
  for (int round = 0; round < 40; ++round) {
    // Freezing again right after a thaw is when the kernel holds its notice back.
    Freeze freeze(*disk, *clock, group.directory);
    REQUIRE(freeze.freeze(seconds(2), {}).has_value());
    ::usleep(15000);
    CHECK(freeze.held());
    REQUIRE(thaw(*disk, group.directory).has_value());
    CHECK_FALSE(freeze.held());
  }
}
