#include "services/snapshot-agent/fence/hook.hpp"

#include <catch2/catch.hpp>

#include "common/clock/clock.hpp"
#include "common/os/fifo.hpp"
#include "services/snapshot-agent/fence/cgroup.hpp"
#include "services/snapshot-agent/fence/hook_program.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;
using namespace lockstep::snapshot;

TEST_CASE("An instruction can name a hook as a policy can: a file of the directory of hooks",
          "[hook]") {
  CHECK(hook_program("/site/hooks", "orders-pause").value() == "/site/hooks/orders-pause");
  for (const char* name : {"", ".", "..", "../evil", "a/b", "/bin/rm", "Pause", "-x", ".hidden"}) {
    INFO(name);
    CHECK_FALSE(hook_program("/h", name));
  }
}

TEST_CASE("A hook is told what it is for, and its failure is told with its output", "[hook]") {
  const auto processes = os::make_system_processes();
  const HookOccasion occasion{"orders", {"a", "b"}, "the-run", UtcNanos{0}, milliseconds(1500)};
  const auto environment = hook_environment(occasion, "pause");
  CHECK(run_hook(*processes,
                 {"/bin/sh", "-c",
                  "[ \"$LOCKSTEP_SERVICE/$LOCKSTEP_SET/$LOCKSTEP_RUN/$LOCKSTEP_ACTION/"
                  "$LOCKSTEP_TIMEOUT_MS/$LOCKSTEP_MOMENT\" = "
                  "'orders/a b/the-run/pause/1500/1970-01-01T00:00:00Z' ]"},
                 environment, seconds(5), {}));
  auto failed =
      run_hook(*processes, {"/bin/sh", "-c", "echo busy; exit 3"}, environment, seconds(5), {});
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::hook_failed);
  CHECK(failed.error().what.find("3") != std::string::npos);
  CHECK(failed.error().what.find("busy") != std::string::npos);
  auto slow = run_hook(*processes, {"/bin/sleep", "60"}, environment, milliseconds(100), {});
  REQUIRE_FALSE(slow);
  CHECK(slow.error().what.find("did not end") != std::string::npos);
}

TEST_CASE("Lines come through a fifo, and the end of the writer shows", "[fifo]") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  const std::string path = scratch / "fifo";
  CHECK_FALSE(os::FifoWriter::open(*disk, path, milliseconds(10)));
  auto reader = os::FifoReader::make(*disk, path);
  REQUIRE(reader);
  std::string line;
  CHECK(reader->next(milliseconds(10), line).value() == os::FifoReader::Got::nothing);
  {
    auto writer = os::FifoWriter::open(*disk, path, seconds(1));
    REQUIRE(writer);
    REQUIRE(writer->send("one"));
    REQUIRE(writer->send(std::string(30000, 'x')));
  }
  CHECK(reader->next(seconds(1), line).value() == os::FifoReader::Got::line);
  CHECK(line == "one");
  CHECK(reader->next(seconds(1), line).value() == os::FifoReader::Got::line);
  CHECK(line.size() == 30000);
  CHECK(reader->next(seconds(1), line).value() == os::FifoReader::Got::end);
}

TEST_CASE("A writer whose reader is gone gets an error and no signal", "[fifo]") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  const std::string path = scratch / "fifo";
  std::optional<os::FifoReader> reader = os::FifoReader::make(*disk, path).value();
  auto writer = os::FifoWriter::open(*disk, path, seconds(1));
  REQUIRE(writer);
  reader.reset();
  auto sent = writer->send("nobody");
  REQUIRE_FALSE(sent);
  CHECK(sent.error().number == EPIPE);
}

TEST_CASE("A cgroup's path stays below its mount", "[cgroup]") {
  const auto disk = os::make_kernel_disk();
  if (!cgroup_mount(*disk)) {
    WARN("SKIPPED: no cgroup v2 tree is mounted");
    return;
  }
  CHECK_FALSE(cgroup_directory(*disk, "../cpu"));
  CHECK_FALSE(cgroup_directory(*disk, "there/is/no/such"));
  CHECK_FALSE(cgroup_directory(*disk, ""));  // the root cannot be frozen
}
