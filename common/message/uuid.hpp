// UUIDv7 (RFC 9562, 5.7): time-ordered ids for runs, messages and promotions.
#pragma once

#include <string>
#include <string_view>

#include "common/clock/moment.hpp"

namespace lockstep::message {

// "0193...-....-7...-....-............", in lower case. The millisecond is `now`'s; within one
// millisecond ids of one process still ascend (method 1 of RFC 9562, 6.2).
std::string make_uuid7(UtcNanos now);
bool is_uuid(std::string_view text);

}  // namespace lockstep::message
