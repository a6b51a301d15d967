#include "common/os/processes.hpp"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>

using namespace lockstep;
using namespace std::chrono_literals;

namespace {

os::Command shell(const std::string& script) {
  os::Command command;
  command.argv = {"/bin/sh", "-c", script};
  return command;
}

bool alive(pid_t pid) {
  // A zombie answers to signal 0; its state in /proc tells.
  std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(status, text)) return false;
  return text[text.rfind(')') + 2] != 'Z';
}

bool ends_within(pid_t pid, std::chrono::milliseconds most) {
  const auto until = std::chrono::steady_clock::now() + most;
  while (alive(pid)) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

}  // namespace

TEST_CASE("run captures both outputs and the exit status") {
  auto processes = os::make_system_processes();
  auto finished = processes->run(shell("echo out; echo err >&2; exit 3"), seconds(30), {});
  REQUIRE(finished);
  CHECK(finished->exit_status == 3);
  CHECK(finished->output == "out\nerr\n");
  CHECK_FALSE(finished->timed_out);
}

TEST_CASE("the environment is added to the caller's, and the directory is entered") {
  ::setenv("LOCKSTEP_TEST_INHERITED", "from the caller", 1);
  ::setenv("LOCKSTEP_TEST_REPLACED", "old", 1);
  auto command = shell("echo $LOCKSTEP_TEST_INHERITED/$LOCKSTEP_TEST_REPLACED; pwd");
  command.environment["LOCKSTEP_TEST_REPLACED"] = "new";
  command.directory = "/usr";
  auto finished = os::make_system_processes()->run(command, seconds(30), {});
  REQUIRE(finished);
  CHECK(finished->output == "from the caller/new\n/usr\n");
}

TEST_CASE("a program is looked up in PATH, and one that is not there is an error") {
  auto processes = os::make_system_processes();
  os::Command command;
  command.argv = {"true"};
  auto finished = processes->run(command, seconds(30), {});
  REQUIRE(finished);
  CHECK(finished->exit_status == 0);
  command.argv = {"/nowhere/program"};
  finished = processes->run(command, seconds(30), {});
  REQUIRE_FALSE(finished);
  CHECK(finished.error().code == ErrorCode::not_found);
  CHECK(finished.error().where == "/nowhere/program");
  command.argv = {"/etc/passwd"};
  CHECK(processes->run(command, seconds(30), {}).error().code == ErrorCode::permission);
  CHECK(processes->run({}, seconds(30), {}).error().code == ErrorCode::usage);
}

TEST_CASE("a time-out ends the whole process group") {
  auto processes = os::make_system_processes();
  auto finished = processes->run(shell("sleep 600 & echo $!; wait"), milliseconds(300), {});
  REQUIRE(finished);
  CHECK(finished->timed_out);
  CHECK(finished->exit_status == 128 + SIGTERM);
  CHECK(ends_within(std::stoi(finished->output), 2s));
}

TEST_CASE("what ignores SIGTERM is killed") {
  auto processes = os::make_system_processes();
  const auto begin = std::chrono::steady_clock::now();
  auto finished =
      processes->run(shell("trap '' TERM; while :; do sleep 0.05; done"), milliseconds(100), {});
  REQUIRE(finished);
  CHECK(finished->exit_status == 128 + SIGKILL);
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("a stop ends it, and a background grandchild is not waited for") {
  auto processes = os::make_system_processes();
  std::stop_source stop;
  std::jthread later([&] {
    std::this_thread::sleep_for(100ms);
    stop.request_stop();
  });
  const auto begin = std::chrono::steady_clock::now();
  auto finished = processes->run(shell("sleep 600"), seconds(600), stop.get_token());
  REQUIRE(finished);
  CHECK(finished->timed_out);
  CHECK(std::chrono::steady_clock::now() - begin < 10s);

  finished = processes->run(shell("sleep 5 & echo $!"), seconds(600), {});
  REQUIRE(finished);
  CHECK(finished->exit_status == 0);
  CHECK(std::chrono::steady_clock::now() - begin < 4s);
  ::kill(std::stoi(finished->output), SIGKILL);
}

TEST_CASE("only the end of a long output is kept") {
  auto finished = os::make_system_processes()->run(
      shell("i=0; while [ $i -lt 20000 ]; do echo line-$i; i=$((i+1)); done"), seconds(60), {});
  REQUIRE(finished);
  CHECK(finished->output.size() == 64 * 1024);
  CHECK(finished->output.ends_with("line-19999\n"));
}

TEST_CASE("start: output file, poll, signal, wait") {
  char file[] = "/tmp/lockstep-output-XXXXXX";
  const int fd = ::mkstemp(file);
  REQUIRE(fd >= 0);
  auto command = shell("echo begun; exec sleep 600");
  command.output_file = file;
  auto process = os::make_system_processes()->start(command);
  REQUIRE(process);
  CHECK_FALSE((*process)->poll());
  (*process)->signal(SIGTERM);
  CHECK((*process)->wait() == 128 + SIGTERM);
  CHECK((*process)->poll() == 128 + SIGTERM);
  (*process)->signal(SIGKILL);  // it has ended: reaches nobody
  ::unlink(file);
  ::close(fd);
}

TEST_CASE("die_with_parent: the kernel ends the child with the thread that started it") {
  auto processes = os::make_system_processes();
  auto command = shell("exec sleep 600");
  command.die_with_parent = true;
  pid_t pid = 0;
  std::unique_ptr<os::Process> process;
  std::thread starter([&] {
    auto started = processes->start(command);
    if (started) process = std::move(*started);
  });
  starter.join();
  REQUIRE(process);
  pid = process->pid();
  CHECK(ends_within(pid, 2s));
  CHECK(process->wait() == 128 + SIGKILL);
}
