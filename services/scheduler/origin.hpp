// Origin: what a run is made from. The policy as it was, and where its data sets lie; it stands in
// the journal beside the plan, so that a changed policy changes no run that was planned before.
//
// Thread rule: values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/site.hpp"
#include "common/error/error.hpp"
#include "common/identity/record.hpp"
#include "common/message/envelope.hpp"
#include "common/policy/policy.hpp"
#include "services/scheduler/run/plan.hpp"

namespace lockstep::scheduler {

struct Origin {
  policy::Policy policy;
  std::uint64_t version = 0;
  message::Epoch epoch;  // under which it was planned; none in journals of before there were any
  std::string primary;   // clusters
  std::string secondary;
  message::Body sets;  // as docs/protocol.md has them in every instruction
};

// Names the clusters, resolves every data set's agent and the place of its pair, under a decided
// identity epoch. A policy is written as of its home, the cluster that it names or that was the
// primary first; where another cluster is the primary now, every pair is turned round: read where
// its backups became live, kept where it came from. In the first epoch a policy may name either
// cluster as its home. Errors: policy-invalid with the data set and what to add.
Result<Origin> resolve(const policy::Policy& policy, std::uint64_t version,
                       const config::Site& site, const identity::Decision& decision);

// What every run of this origin has in common; the caller adds id, attempt and moment.
Result<run::Plan> plan_for(const Origin& origin, const config::Site& site);

message::Body origin_to_body(const Origin& origin);
Result<Origin> origin_from_body(const message::Body& body);

}  // namespace lockstep::scheduler
