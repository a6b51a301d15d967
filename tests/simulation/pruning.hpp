// Pruning in the simulated scheduler: after a complete run, and after each start, the real
// retention sorts the registrar's points, and what no rule keeps is deleted there under the real
// guards.
//
// Messages are lost, late and repeated here too; what got no answer is asked for again, as
// services/scheduler/prune.cpp does it.
#pragma once

#include <map>
#include <string>

#include "common/policy/policy.hpp"
#include "tests/simulation/agents.hpp"

namespace lockstep::simulation {

class Pruning {
 public:
  Pruning(World& world, Wire& wire, TransferAgent& registrar)
      : world_(world), wire_(wire), registrar_(registrar) {}

  std::map<std::string, policy::Retention> rules;  // by service

  void completed(const std::string& service);
  void scheduler_started();
  void scheduler_died() { ++life_; }

  // The invariants of what is left, once all is quiet.
  void check() const;

 private:
  void prune(const std::string& service);
  void later(Span span, std::function<void()> happening);

  World& world_;
  Wire& wire_;
  TransferAgent& registrar_;
  std::uint64_t life_ = 0;
};

}  // namespace lockstep::simulation
