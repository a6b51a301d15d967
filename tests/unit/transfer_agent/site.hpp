// A site of two transfer-agents on a file system of its own. The test is its scheduler, and pins
// with the components as a snapshot-agent would.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/component/component.hpp"
#include "common/config/site.hpp"
#include "common/message/envelope.hpp"
#include "common/os/disk.hpp"
#include "common/os/processes.hpp"
#include "common/transport/client.hpp"
#include "tests/support/scratch.hpp"

namespace lockstep::test {

using message::Body;

struct TransferSite {
  // `lock`: the south's, as in lockstep.yaml.
  explicit TransferSite(const std::string& lock = "0s");
  ~TransferSite();

  // Starts an agent and waits until it answers; `environment` may hold a failpoint, and then it may
  // end instead. `wait`: false where it is expected to end at once.
  void start(const std::string& agent, const std::map<std::string, std::string>& environment = {},
             bool wait = true);
  void kill(const std::string& agent);
  // Waits for its own end; its exit status.
  int wait_for_end(const std::string& agent);

  std::string north(const std::string& path = "") const { return top + "/north/orders" + path; }
  std::string record_path(const std::string& run) const {
    return top + "/south/.lockstep/points/orders/" + run + ".json";
  }

  std::string new_run() const;
  // The data set "files" (a tree) or "ledger" (a database), pinned for the run.
  void pin(const std::string& run, const std::string& set);

  // As the scheduler asks. `attempt` of the step.
  Result<Body> call(const std::string& to, const std::string& type, const std::string& run,
                    const std::string& step, const Body& body, int attempt = 1,
                    Nanos deadline = seconds(60));
  // Instruction, by push or by pull.
  Result<Body> transfer(const std::string& run, const std::vector<std::string>& sets,
                        const std::string& base = "", bool push = true, int attempt = 1);
  Body seal_body(const std::string& run, const Body& transferred) const;
  Result<Body> seal(const std::string& run, const Body& transferred, int attempt = 1);
  Result<Body> drop(const std::string& agent, const std::string& run,
                    const std::vector<std::string>& sets);

  // Pinned, transferred and sealed.
  std::string make_point(const std::vector<std::string>& sets, const std::string& base = "",
                         bool push = true);

  // tests/compare/point.py over the record: what is wrong, as it prints it; empty: nothing.
  std::string independent_problems(const std::string& run) const;
  // Names below `north` or `south` in their stores that hold a run's traces.
  std::vector<std::string> traces(const std::string& cluster, const std::string& run) const;

  Body set(const std::string& name) const;

  Scratch state;
  std::optional<LoopMount> mount;
  std::optional<Scratch> plain;
  std::string top;
  message::Epoch epoch;
  std::uint64_t bandwidth = 0;  // of instructions, bytes a second
  Nanos stall = seconds(20);
  std::unique_ptr<os::Disk> disk = os::make_kernel_disk();
  std::unique_ptr<os::Processes> processes = os::make_system_processes();
  std::unique_ptr<Clock> clock = make_system_clock();
  config::Site site;
  transport::Directory directory;
  component::Components components;
  std::map<std::pair<std::string, std::string>, component::Version> pins;

 private:
  struct Agent {
    std::unique_ptr<os::Process> process;
  };
  std::map<std::string, Agent> agents_;
  std::unique_ptr<component::Surroundings> surroundings_;
};

void write_file(const std::string& path, const std::string& content);
std::string read_text(const std::string& path);
std::string noise(std::size_t size, unsigned seed);

}  // namespace lockstep::test
