// The status page's table of services: state, newest point, RPO, drills, timeline. Pure.
#pragma once

#include <string>

#include "services/gateway/picture.hpp"

namespace lockstep::gateway {

// Of a service as `status.done` has it.
bool has_rpo(const message::Body& service);
bool misses(const message::Body& service);         // its RPO, without being paused
bool fails(const message::Body& service);          // its last run, and no good point has followed
bool drill_overdue(const message::Body& service);  // no good drill within max_age; not paused

std::string services_table(const Shown& shown, UtcNanos now);

}  // namespace lockstep::gateway
