// Paths of data sets against each other.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/policy/policy.hpp"

namespace lockstep::policy {

// True where `inner` lies below `outer`; not where they are equal.
bool lies_inside(std::string_view inner, std::string_view outer);
bool overlaps(std::string_view a, std::string_view b);

// Whether the exclude patterns of the data set at `outer` certainly leave `inner` out. A pattern
// with `**` counts as not leaving it out, so that a doubt is a finding.
bool leaves_out(const std::vector<std::string>& patterns, std::string_view inner,
                std::string_view outer);

// Two data sets that name different agents lie on different hosts, as far as a policy can say.
bool on_other_hosts(const DataSet& a, const DataSet& b);

}  // namespace lockstep::policy
