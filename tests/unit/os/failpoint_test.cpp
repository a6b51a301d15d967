#include <stdlib.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "common/os/processes.hpp"

using namespace lockstep;

namespace {
os::Finished run_child(const std::map<std::string, std::string>& environment) {
  auto processes = os::make_system_processes();
  os::Command command;
  command.argv = {FAILPOINT_CHILD};
  command.environment = environment;
  auto finished = processes->run(command, seconds(30), {});
  REQUIRE(finished);
  return *finished;
}
}  // namespace

TEST_CASE("without the variable failpoints do nothing") {
  const auto finished = run_child({});
  CHECK(finished.exit_status == 0);
  CHECK(finished.output == "first\nsecond\nfirst\nsecond\n");
}

TEST_CASE("a failpoint kills at the passing asked for") {
  auto finished = run_child({{"LOCKSTEP_FAILPOINT", "first"}});
  CHECK(finished.exit_status == 137);
  CHECK(finished.output.empty());
  finished = run_child({{"LOCKSTEP_FAILPOINT", "first:2"}});
  CHECK(finished.exit_status == 137);
  CHECK(finished.output == "first\nsecond\n");
  finished = run_child({{"LOCKSTEP_FAILPOINT", "first:3"}});
  CHECK(finished.exit_status == 0);
}

TEST_CASE("the list names each failpoint once") {
  char file[] = "/tmp/lockstep-failpoints-XXXXXX";
  const int fd = ::mkstemp(file);
  REQUIRE(fd >= 0);
  CHECK(run_child({{"LOCKSTEP_FAILPOINT_LIST", file}}).exit_status == 0);
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  CHECK(text.str() == "first\nsecond\n");
  ::unlink(file);
  ::close(fd);
}
