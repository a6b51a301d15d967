#include "common/service/clock_body.hpp"

#include "common/clock/chrony.hpp"

namespace lockstep::service {

message::Body clock_body(const Clock& clock) {
  const HostClock host = look_at_host_clock(clock);
  return {{"boot_id", host.boot_id},
          {"synchronised", host.synchronised},
          {"error_ns", host.error.count},
          {"offset_ns", clock.realtime_offset().count},
          {"source", host.source}};
}

std::optional<Apart> apart_of(UtcNanos asked, const message::Body& ping_done, UtcNanos heard) {
  if (!ping_done.contains("received_at") || !ping_done.contains("answered_at")) return {};
  const auto received = parse_rfc3339(ping_done["received_at"].get<std::string>());
  const auto answered = parse_rfc3339(ping_done["answered_at"].get<std::string>());
  if (!received || !answered) return {};
  const Apart apart{*answered - heard, *received - asked};
  if (apart.least > apart.most) return {};
  return apart;
}

}  // namespace lockstep::service
