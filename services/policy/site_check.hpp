// A policy against the site: the clusters and agents that it names. Pure.
#pragma once

#include <vector>

#include "common/config/site.hpp"
#include "common/policy/policy.hpp"

namespace lockstep::policy_service {

policy::Layout layout_of(const config::Site& site);

// Everything there is to say of `wanted` beside the policies in force: its own consistency, the
// agents it names, and conflicts that it brings in (not those that are there without it). `own`
// counts the findings that are about it alone: they come first.
struct Verdict {
  std::vector<policy::Finding> findings;
  std::size_t own = 0;
};
Verdict judge(const policy::Policy& wanted, const std::vector<policy::Policy>& others,
              const config::Site& site);

bool refuses(const std::vector<policy::Finding>& findings);

}  // namespace lockstep::policy_service
