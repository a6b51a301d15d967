#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
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

TEST_CASE(
    "a failpoint told by a file kills once, at the passing asked for, and takes the file away") {
  char file[] = "/tmp/lockstep-failpoint-XXXXXX";
  const int fd = ::mkstemp(file);
  REQUIRE(fd >= 0);
  REQUIRE(::write(fd, "second:2\n", 9) == 9);
  ::close(fd);
  auto finished = run_child({{"LOCKSTEP_FAILPOINT_FILE", file}});
  CHECK(finished.exit_status == 137);
  CHECK(finished.output == "first\nsecond\nfirst\n");
  CHECK(::access(file, F_OK) != 0);
  finished = run_child({{"LOCKSTEP_FAILPOINT_FILE", file}});
  CHECK(finished.exit_status == 0);
}

TEST_CASE("a failpoint told to stop its process lets it go on from there") {
  char file[] = "/tmp/lockstep-failpoint-XXXXXX";
  const int fd = ::mkstemp(file);
  REQUIRE(fd >= 0);
  REQUIRE(::write(fd, "stop second:1\n", 14) == 14);
  ::close(fd);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::setenv("LOCKSTEP_FAILPOINT_FILE", file, 1);
    ::execl(FAILPOINT_CHILD, FAILPOINT_CHILD, nullptr);
    ::_exit(127);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, WUNTRACED) == child);
  REQUIRE(WIFSTOPPED(status));
  CHECK(WSTOPSIG(status) == SIGSTOP);
  CHECK(::access(file, F_OK) != 0);
  REQUIRE(::kill(child, SIGCONT) == 0);
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("the list names each passing of a failpoint") {
  char file[] = "/tmp/lockstep-failpoints-XXXXXX";
  const int fd = ::mkstemp(file);
  REQUIRE(fd >= 0);
  CHECK(run_child({{"LOCKSTEP_FAILPOINT_LIST", file}}).exit_status == 0);
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  CHECK(text.str() == "first\nsecond\nfirst\nsecond\n");
  ::unlink(file);
  ::close(fd);
}
