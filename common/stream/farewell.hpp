// Telling the peer why nothing will come.
#pragma once

#include <stop_token>

#include "common/stream/channel.hpp"
#include "common/stream/control.hpp"

namespace lockstep::stream {

// For an error before there was a channel: the peer, where it is there, hears it instead of
// silence.
inline Error tell_and_fail(Link& link, const Error& error, const std::stop_token& stop) {
  auto channel = link.open(seconds(1), stop);
  if (channel) static_cast<void>((*channel)->send({fail_control("fail", error).encode(), {}}));
  return error;
}

}  // namespace lockstep::stream
