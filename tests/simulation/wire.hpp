// The wire between the control device and the agents: messages are lost, late and repeated.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>

#include "services/scheduler/run/step.hpp"
#include "tests/simulation/world.hpp"

namespace lockstep::simulation {

struct Letter {  // a request
  std::uint64_t id = 0;
  std::shared_ptr<const run::Plan> plan;
  run::Ask ask;
  Instant moment = 0;
  std::uint64_t epoch = 1;
  std::string text() const {
    return plan->run + " " + run::step_name(ask.key) + " (attempt " + std::to_string(ask.attempt) +
           ")";
  }
};

struct Reply {
  std::uint64_t id = 0;
  enum class Stage { accepted, last } stage = Stage::last;
  std::variant<run::Facts, run::Failure> outcome;
};

// An agent: up or down. A letter to one that is down is lost.
class Agent {
 public:
  virtual ~Agent() = default;
  virtual void receive(const Letter& letter) = 0;
};

class Wire {
 public:
  explicit Wire(World& world) : world_(world) {}

  std::map<std::string, Agent*> agents;
  std::function<void(const Reply&)> to_control;
  double loss = 0;
  double repeat = 0;
  Span latest = 5 * kMillisecond;  // a delay is between 50 us and this

  void send(const Letter& letter);
  void answer(const Reply& reply);

 private:
  void carry(std::function<void()> arrival);
  World& world_;
};

}  // namespace lockstep::simulation
