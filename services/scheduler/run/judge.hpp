// The judge: whether what the agents report is one moment, by the inequalities of
// docs/point-format.md ("The certificate"). Pure: the same evidence gives the same verdict.
#pragma once

#include <string>
#include <vector>

#include "facts.hpp"
#include "plan.hpp"

namespace lockstep::run {

// What is known of one member once all fences are down.
struct Evidence {
  const Member* member = nullptr;
  int stage = 0;
  bool pinned = false;
  Pinned::Set pin;
  bool raised = false;
  Raised::Set raise;
  bool lowered = false;
  Lowered::Set lower;
  // The clock of the member's host, in the order in which it was reported: arm, raise, pin, lower.
  // `at` is when the control device heard it, which bounds how far a disciplined clock may have
  // drifted in between.
  struct Look {
    HostClock clock;
    Instant at = 0;
    bool before_pin = true;
  };
  std::vector<Look> looks;
};

struct Verdict {
  bool good = false;
  std::string code;  // of common/errors.yaml, where not good
  std::string reason;
  std::string where;  // the set or the host
  Span skew = 0;
  Span lateness = 0;
};

// The evidence of those that are to show the moment: of all members but those beside it.
std::vector<Evidence> of_the_moment(std::vector<Evidence> all);

// The error of a member's clock on the run's one timeline: 0 where all members' hosts have one boot
// id, else the largest that its host reported.
Span clock_error(const Evidence& member, const std::vector<Evidence>& all);

// Why the clock of one of several hosts cannot serve, in words; empty: it can. `sources` and
// `max_error` as a plan has them.
std::string unfit(const HostClock& clock, const std::vector<std::string>& sources, Span max_error);

// Whether clocks of these hosts can be compared at all, so that arming may refuse (clock-unfit):
// across hosts none may be unfit, the errors of any two together must leave room within max_skew,
// and no two may lie farther apart than their errors allow.
Verdict judge_clocks(const Plan& plan, const std::vector<Evidence>& all);

// Requires: what the run did is complete; a member whose evidence is missing fails the judgement.
// One that stands beside the moment has to be pinned, and is asked for nothing else.
Verdict judge(const Plan& plan, Instant moment, const std::vector<Evidence>& all);

}  // namespace lockstep::run
