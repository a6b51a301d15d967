// What the host's chronyd says of the clock: asked by the protocol of `chronyc tracking` (version
// 6, chrony 2.2 and later) on the loopback, one datagram there and one back.
//
// Thread rule: pure functions, and a call that waits at most as long as it is told.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/clock/clock.hpp"

namespace lockstep {

struct Tracking {
  // The address of the server that chronyd has selected, the name of a reference clock ("GPS"), or
  // its reference id in hexadecimal digits.
  std::string source;
  bool synchronised = false;
  // The root distance, half the delay to the reference and the dispersion, and how far the system's
  // clock is away from chronyd's estimate.
  Nanos error;
};

// The datagrams. `read_tracking`: nothing where it is no answer to the request `sequence`.
std::vector<std::uint8_t> tracking_request(std::uint32_t sequence);
std::optional<Tracking> read_tracking(std::span<const std::uint8_t> datagram,
                                      std::uint32_t sequence);

// Nothing where no chronyd answers in time.
std::optional<Tracking> ask_chrony(Nanos patience);

// What this host says of its clock: chronyd where one answers, else the kernel.
struct HostClock {
  std::string boot_id;
  bool synchronised = false;
  Nanos error;
  std::string source;  // as above; "kernel" where no chronyd answers
};
HostClock look_at_host_clock(const Clock& clock);

}  // namespace lockstep
