// The small model: one run with two members, each at a snapshot-agent of its own, a sender, and the
// registrar; every order in which messages arrive, and a bounded number of mishaps at any place.
//
// What is decided is decided by the real functions: the run logic, RunState of the snapshot-agent,
// seal_refusal of the registrar, check_epoch. Here is only what surrounds them: messages in flight,
// what is durable, and what a crash loses. Time does not flow: a lease may run out whenever
// RunState says that it can, a retry may come whenever one is due.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "common/message/envelope.hpp"
#include "services/scheduler/run/step.hpp"
#include "services/snapshot-agent/logic/run_state.hpp"

namespace lockstep::simulation {

struct Mail {  // a request, or the answer to one
  run::Ask ask;
  std::optional<std::variant<run::Facts, run::Failure>> answer;
  std::string text() const;
};

struct SmallAgent {
  using StepAttempt = std::pair<std::string, int>;
  // durable
  bool known = false;  // has a row of the run
  bool pinned = false;
  bool committed = false;
  snapshot::Over over = snapshot::Over::no;
  std::map<StepAttempt, run::Facts> replies;
  bool learned = false;  // of the new epoch
  // volatile
  snapshot::RunState state;
  std::set<StepAttempt> begun;  // in this life: what `state` remembers and does not show

  int pins_made = 0;  // for the invariants alone
};

struct SmallRegistrar {
  bool staged = false;
  bool record = false;
  bool tombstone = false;
  bool learned = false;  // of the new epoch
  std::map<SmallAgent::StepAttempt, run::Facts> replies;
  bool sealed_under_old_epoch = false;  // for the invariants alone
};

struct SmallModel {
  SmallModel();

  run::State control;
  std::array<SmallAgent, 2> agents;
  SmallRegistrar registrar;
  std::vector<Mail> flying;       // sorted by text
  std::vector<run::Ask> awaited;  // what the scheduler's client waits for; lost with its process
  int mishaps = 0;
  int retries = 0;
  bool raised = false;  // the epoch, somewhere
  bool aborted = false;

  // What may happen next, each with its name.
  struct Next;
  std::vector<Next> next(int most_mishaps, int most_retries) const;
  // All that distinguishes this state from another.
  std::string key() const;
  // Which invariant is broken; empty: none.
  std::string broken() const;
  // Nothing is under way and nothing is waited for.
  bool quiet() const;

 private:
  void feed(decltype(run::Input::what) what, run::Instant now);
  void post(Mail mail);
  void deliver(const Mail& mail);
  void at_agent(SmallAgent& agent, const run::Ask& ask);
  void at_sender(const run::Ask& ask);
  void at_registrar(const run::Ask& ask);
  void reply(const run::Ask& ask, std::variant<run::Facts, run::Failure> answer);
  void crash(SmallAgent& agent);
  void expire(SmallAgent& agent);

  std::string left_terminal_;
};

struct SmallModel::Next {
  std::string name;
  SmallModel state;
};

}  // namespace lockstep::simulation
