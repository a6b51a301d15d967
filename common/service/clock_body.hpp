// What a host says of its clock in messages (`definitions.json`, clock), and how far it is apart.
//
// Thread rule: any thread.
#pragma once

#include <optional>

#include "common/clock/clock.hpp"
#include "common/message/envelope.hpp"

namespace lockstep::service {

// Asks the kernel, and chronyd where one answers, which takes a fraction of a millisecond.
message::Body clock_body(const Clock& clock);

// By how much the clock of who answered a ping is ahead of ours, from the four timestamps: asked,
// received, answered, heard.
struct Apart {
  Nanos least;
  Nanos most;
};
// Nothing where the answer does not tell, or a clock was set meanwhile.
std::optional<Apart> apart_of(UtcNanos asked, const message::Body& ping_done, UtcNanos heard);

}  // namespace lockstep::service
