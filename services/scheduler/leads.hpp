// Leads: how long before its moment a run of a service has to arm and to raise its fences, learned
// from the last one that went well.
//
// Thread rule: the reactor's thread.
#pragma once

#include <map>
#include <string>

#include "services/scheduler/run/state.hpp"
#include "services/scheduler/store.hpp"

namespace lockstep::scheduler {

// Spans with a margin; 0: not known.
struct Lead {
  run::Span arm = 0;
  run::Span raise = 0;
};

class Leads {
 public:
  explicit Leads(Store& store) : store_(store) {}

  // From memory, or of the service's newest complete run in the journal, which is read once. Error:
  // the journal's.
  Result<Lead> of(const std::string& service);
  // What an ended run took; one that is not complete teaches nothing.
  void learn(const run::State& ended);

 private:
  Store& store_;
  std::map<std::string, Lead> known_;
};

}  // namespace lockstep::scheduler
