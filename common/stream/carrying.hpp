// Carrying: what an engine brought, as one side tells the other (docs/stream.md, "Engines").
//
// Thread rule: values; functions share nothing.
#pragma once

#include <string>

#include "common/component/carries.hpp"
#include "common/component/source.hpp"
#include "common/stream/control.hpp"

namespace lockstep::stream {

// Error: internal, where more is left out than Carried may tell.
Result<void> check_carried(const component::Carried& carried);

void tell_carried(Control& start, const component::Carried& carried);
component::Carried heard_carried(const Control& start);

// The checksum of a file that was brought, as PlanJob::sum_of_carried is asked for it. `source`
// outlives what is returned.
std::function<Result<std::string>(const component::Entry&)> sums_of(
    component::Source& source, const component::Carried& carried);

}  // namespace lockstep::stream
