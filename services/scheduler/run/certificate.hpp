// The certificate of a run as data: what docs/point-format.md asks for and the run logic knows. Who
// the clusters are, under which epoch and by which program is added where it is written out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "state.hpp"

namespace lockstep::run {

struct Certificate {
  struct Fence {
    std::string kind;
    Interval raised;
    Interval lowered;
    bool held = false;
    std::string detail;
  };
  struct Set {
    std::string name;
    std::string agent;
    Interval pinned;
    bool one_instant = true;
    bool quiet = false;
    bool durable = true;
    std::string method;
    int stage = 0;
    std::optional<Fence> fence;
    HostClock clock;  // the largest error that the host reported, synchronised only if always
    std::vector<std::string> refers_to;
    Transferred::Set moved;
    std::vector<std::string> caveats;  // of the pin, then of the transfer
    std::optional<UserCapture> users;
  };
  Span skew = 0;
  Span lateness = 0;
  std::string promises;
  std::string does_not_promise;
  std::vector<Set> sets;  // in the plan's order
};

// Requires a state whose judgement was good and whose transfer is done.
Certificate certify(const State& state);

// The version that a set is transferred from: the committed one, else the pinned one.
Version version_of(const State& state, const std::string& set);

}  // namespace lockstep::run
