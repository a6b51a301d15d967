// The bridge against a program that speaks as the helper does, but dies, is silent and refuses when
// told to. The helper itself, against HBase: tests/integration/hadoop.
#include "common/components/hbase/bridge.hpp"

#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/os/disk.hpp"
#include "common/os/processes.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;
using namespace lockstep::hbase;

namespace {

// Takes the place of `java`; it notes each start.
constexpr const char* kProgram = R"(#!/usr/bin/python3
import json, os, sys, threading
home = os.path.dirname(os.path.abspath(__file__))
with open(home + "/starts", "a") as starts:
    starts.write(os.environ["HADOOP_USER_NAME"] + " " + " ".join(sys.argv[-3:]) + "\n")
held = []
for line in sys.stdin:
    request = json.loads(line)
    if request["op"] == "die" or request["op"] == "snapshot":
        os._exit(3)
    if request["op"] == "die-once":
        if not os.path.exists(home + "/died"):
            open(home + "/died", "w").close()
            os._exit(3)
    if request["op"] == "silent":
        continue
    if request["op"] == "hold":
        held.append(request["id"])
        continue
    if request["op"] == "refuse":
        answer = {"id": request["id"], "error": {"kind": request["kind"], "message": "no"}}
    elif request["op"] == "about":
        answer = {"id": request["id"], "result": {"root": "/base"}}
    else:
        answer = {"id": request["id"], "result": {"echo": request.get("text", "")}}
    print("no JSON at all")
    print(json.dumps({"id": 999999, "result": "nobody asked"}))
    print(json.dumps(answer))
    for one in held:  # late answers come after others
        print(json.dumps({"id": one, "result": "held"}))
    held = []
    sys.stdout.flush()
)";

struct Stage {
  test::Scratch scratch;
  std::unique_ptr<os::Disk> disk = os::make_kernel_disk();
  std::unique_ptr<os::Processes> processes = os::make_system_processes();
  std::unique_ptr<Clock> clock = make_system_clock();
  Settings settings;

  Stage() {
    const std::string program = scratch.path() + "/java";
    std::ofstream(program) << kProgram;
    REQUIRE(::chmod(program.c_str(), 0755) == 0);
    settings = {"/conf:/lib/*", program, "carol", {}};
  }
  component::Surroundings surroundings() { return {*disk, *processes, *clock, scratch.path()}; }
  std::vector<std::string> starts() {
    std::vector<std::string> lines;
    std::ifstream file(scratch.path() + "/starts");
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
};

constexpr Nanos kLong = seconds(120);

}  // namespace

TEST_CASE("requests are answered by the program, which is started once") {
  Stage stage;
  {
    Bridge bridge(stage.surroundings(), stage.settings);
    CHECK(bridge.ask({{"op", "echo"}, {"text", "a\nb é"}}, kLong)->at("echo") == "a\nb é");
    CHECK(bridge.root().value() == "/base");
    std::vector<std::jthread> threads;
    std::atomic<int> right = 0;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] {
        for (int j = 0; j < 20; ++j) {
          const std::string text = std::to_string(i) + "." + std::to_string(j);
          auto answer = bridge.ask({{"op", "echo"}, {"text", text}}, kLong);
          if (answer && answer->at("echo") == text) ++right;
        }
      });
    }
    threads.clear();
    CHECK(right == 160);
    // One that is answered later is the one that asked.
    std::atomic<bool> held = false;
    std::atomic<bool> ended = false;
    std::jthread later([&] {
      auto answer = bridge.ask({{"op", "hold"}}, kLong);
      held = answer && *answer == "held";
      ended = true;
    });
    while (!ended) CHECK(bridge.ask({{"op", "echo"}, {"text", "x"}}, kLong)->at("echo") == "x");
    CHECK(held);
  }
  REQUIRE(stage.starts().size() == 1);
  CHECK(stage.starts()[0] ==
        "carol -cp /conf:/lib/* " + stage.scratch.path() + "/LockstepHBase.java");
}

TEST_CASE("a program that dies is started again, and what may be repeated is") {
  Stage stage;
  Bridge bridge(stage.surroundings(), stage.settings);
  CHECK(bridge.ask({{"op", "die-once"}}, kLong));
  CHECK(stage.starts().size() == 2);
  // A snapshot may have been made: it is the caller's to look.
  auto made = bridge.ask({{"op", "snapshot"}}, kLong);
  REQUIRE_FALSE(made);
  CHECK(made.error().trouble == Trouble::lost);
  CHECK(stage.starts().size() == 2);
  auto never = bridge.ask({{"op", "die"}}, kLong);
  REQUIRE_FALSE(never);
  CHECK(never.error().trouble == Trouble::lost);
  CHECK(never.error().text.find("hbase-helper.log") != std::string::npos);
  CHECK(stage.starts().size() == 4);
  CHECK(bridge.ask({{"op", "echo"}}, kLong));
}

TEST_CASE("an answer that does not come is late, and the caller may be told to stop") {
  Stage stage;
  Bridge bridge(stage.surroundings(), stage.settings);
  auto late = bridge.ask({{"op", "silent"}}, milliseconds(20));
  REQUIRE_FALSE(late);
  CHECK(late.error().trouble == Trouble::late);
  std::stop_source stop;
  stop.request_stop();
  auto stopped = bridge.ask({{"op", "silent"}}, kLong, stop.get_token());
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().trouble == Trouble::stopped);
  CHECK(bridge.ask({{"op", "echo"}}, kLong));
}

TEST_CASE("a program that cannot be run is an error that says so") {
  Stage stage;
  stage.settings.java = stage.scratch.path() + "/nonesuch";
  Bridge bridge(stage.surroundings(), stage.settings);
  auto answer = bridge.ask({{"op", "about"}}, kLong);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().trouble == Trouble::lost);
  CHECK(answer.error().text.find("nonesuch") != std::string::npos);
}

TEST_CASE("what the program refuses has the code that the person who repairs it needs") {
  Stage stage;
  Bridge bridge(stage.surroundings(), stage.settings);
  for (const auto& [kind, code] :
       std::map<std::string, ErrorCode>{{"unreached", ErrorCode::unreachable},
                                        {"denied", ErrorCode::permission},
                                        {"kerberos", ErrorCode::not_built_yet},
                                        {"hostile", ErrorCode::stream_hostile},
                                        {"unsupported", ErrorCode::not_supported},
                                        {"late", ErrorCode::target_write},
                                        {"missing", ErrorCode::target_write},
                                        {"of a later version", ErrorCode::target_write}}) {
    INFO(kind);
    auto answer = bridge.ask({{"op", "refuse"}, {"kind", kind}}, kLong);
    REQUIRE_FALSE(answer);
    const Error error = to_error(answer.error(), ErrorCode::target_write, "act", "there");
    CHECK(error.code == code);
    CHECK(error.what == "cannot act: no");
  }
}
