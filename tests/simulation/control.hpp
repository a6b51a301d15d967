// The simulated scheduler process: it journals what the run logic says, then does it, and may die
// at any write. What it decides comes from the real run logic and the real timetable.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "services/scheduler/run/step.hpp"
#include "services/scheduler/timetable.hpp"
#include "tests/simulation/wire.hpp"

namespace lockstep::simulation {

struct ServiceSchedule {
  run::Plan plan;  // what every run of the service has in common
  std::vector<std::string> clusters;
  int max_pending = 1;
  std::vector<Instant> moments;  // ascending
  Span ahead = 2 * kSecond;
};

class Control {
 public:
  Control(World& world, Wire& wire, Host& host) : world_(world), wire_(wire), host_(host) {}

  std::vector<ServiceSchedule> services;
  int per_cluster = 2;
  double crash_at_write = 0;
  std::function<void(const std::string& service)> on_complete;
  std::function<void()> on_start;
  std::function<void()> on_death;

  void start();
  void crash(Span away);
  void abort_something();
  // A newer identity epoch is decided: what was planned under an older one stands down.
  void learn_epoch(std::uint64_t number);
  void receive(const Reply& reply);

  // What the journal holds: what a process that started now would know.
  std::map<std::string, run::State> recovered() const;
  bool quiet() const;

 private:
  struct Journaled {  // of one run
    std::size_t service = 0;
    std::uint64_t epoch = 1;  // planned under it
    run::Plan plan;
    std::vector<run::Record> records;
  };
  struct Waiting {  // the transport client's side of one request
    Letter letter;
    Instant asked = 0;
    Instant heard = 0;  // 0: never
  };

  void plan_run(run::Plan plan, std::size_t service);
  void feed(const std::string& run, decltype(run::Input::what) what);
  // False: the process died at this write, before or after it.
  bool write(const std::function<void()>& transaction);
  void send(const std::string& run, const run::Ask& ask);
  void resend(std::uint64_t id);
  void finish(std::uint64_t id, std::variant<run::Facts, run::Failure> outcome);
  void stand_down();
  void take_turns();
  void look_at_schedules();
  void wake_at(Instant shown);
  void check_terminal_stays(const run::State& before, const run::State& after);
  void check_one_run_a_service();
  void later(Span span, std::function<void()> happening);

  World& world_;
  Wire& wire_;
  Host& host_;

  // durable
  std::map<std::string, Journaled> journal_;
  std::set<std::tuple<std::string, Instant, int>> planned_;  // UNIQUE(service, scheduled, attempt)
  std::vector<Instant> considered_;                          // by service
  int runs_made_ = 0;
  std::uint64_t epoch_ = 1;
  // volatile
  std::map<std::string, run::State> states_;
  std::set<std::string> may_transfer_;
  std::map<std::uint64_t, Waiting> waiting_;
  std::uint64_t next_id_ = 1;
  bool up_ = false;
  std::uint64_t life_ = 0;
  Instant woken_for_ = 0;
};

}  // namespace lockstep::simulation
