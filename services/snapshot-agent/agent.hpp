// Agent: the snapshot-agent's messages (docs/protocol.md). Asks the run's state what a request is
// to get, has steps done on threads, and answers.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/transport/events.hpp"
#include "common/transport/reactor.hpp"
#include "common/transport/server.hpp"
#include "services/snapshot-agent/chores.hpp"
#include "services/snapshot-agent/logic/run_state.hpp"
#include "services/snapshot-agent/pins.hpp"
#include "services/snapshot-agent/steps.hpp"
#include "services/snapshot-agent/tools.hpp"

namespace lockstep::snapshot {

class Agent {
 public:
  struct Wires {
    transport::Reactor& reactor;
    transport::Server& server;
    transport::EventPublisher& events;
    message::Epoch first_epoch;              // of the site
    std::function<void(const Error&)> fail;  // ends the process
  };

  // Recovers (recovery.hpp), then registers its handlers.
  static Result<std::shared_ptr<Agent>> start(const Tools& tools, Wires wires);
  // Stops the steps under way, takes down the fences, disarms. What is pinned and not committed is
  // dropped by the next start.
  ~Agent();

  message::Epoch epoch() const { return epoch_; }
  // Of a command: a newer epoch is learned. Error: epoch-old.
  Result<void> admit(const message::Epoch& given);
  // The cluster's registrar says that this epoch is decided.
  void learn(const message::Epoch& decided);

 private:
  // A run that this process has something of, or has answered for.
  struct Live {
    std::string service;
    std::string run;
    RunState state;
    std::unique_ptr<Pins> pins;
    std::vector<OwnSet> sets;
    std::map<std::string, message::Body> answers;  // of steps that are done
    ProgressPtr progress;                          // of arm or commit under way; else null
    std::optional<transport::Request> asker;       // of the step under way: who asked last
    std::optional<transport::Request> drop_asker;  // who waits for a drop
    std::vector<OwnSet> drop_also;
    Over ending = Over::dropped;  // what a drop under way makes of the run
    std::stop_source stop;
    std::optional<transport::Reactor::TimerId> deadline;
    std::jthread worker;
  };
  using Work = std::function<Result<Outcome>(const Occasion&)>;

  Agent(const Tools& tools, Wires wires, message::Epoch epoch);

  void on(const char* type, Ask ask);
  void handle(const transport::Request& request, Ask ask);
  void answer_holds(const transport::Request& request);
  void release(const transport::Request& request);
  Result<bool> answered_before(const transport::Request& request);
  Result<Live*> live(const std::string& service, const std::string& run);

  void act(Live& live, const transport::Request& request, const Question& question);
  void answer_again(Live& live, const transport::Request& request, const Question& question);
  Work work_of(Live& live, const transport::Request& request, const Question& question);
  void begin(Live& live, const Question& question, int attempt, Work work);
  void finish(const std::string& run, const Occasion& occasion, Ask ask, Result<Outcome> result);
  void end_run(Live& live, Over over, const std::string& why);
  void drop_now(Live& live);
  void watch_fences(const std::string& run, Nanos after);
  void look_at_leases();
  void report_progress();
  // True where the error ends the process.
  bool fatal(const Error& error);

  const Tools tools_;
  Wires wires_;
  message::Epoch epoch_;
  std::map<std::string, std::unique_ptr<Live>> runs_;
  Chores chores_;
};

}  // namespace lockstep::snapshot
