// Plan: what one run is to do, fixed when it is planned and never changed afterwards.
//
// This folder is the run logic: values in, values out. It includes the standard library and its own
// files, nothing else (its CMake target sees no other folder). Instants are nanoseconds since
// 1970-01-01T00:00:00Z, spans are nanoseconds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::run {

using Instant = std::int64_t;
using Span = std::int64_t;

inline constexpr Span kMillisecond = 1'000'000;
inline constexpr Span kSecond = 1'000'000'000;

enum class Mode { push, pull };
enum class Consistency { fenced, ordered, bounded };

// One data set of the service, as far as the order of steps depends on it.
struct Member {
  std::string name;
  std::string agent;    // the snapshot-agent that pins it
  bool fenced = false;  // the policy puts a fence around its writers
  Span fence_timeout = 5 * kSecond;
  std::vector<std::string> refers_to;  // names of other members
  // User data: pinned with the others and whole with them, but outside the rules of fences, skew,
  // lateness and clocks; from when to when it was read stands in the certificate.
  bool beside = false;
};

struct Plan {
  std::string run;  // UUIDv7
  std::string service;
  int attempt = 1;        // of the service's `scheduled` instant
  int attempts = 3;       // how many there may be
  Instant scheduled = 0;  // the instant the first attempt was planned for; kept by its successors
  Instant begin_at = 0;   // not begun before
  // True: the moment is the earliest that arming allows. False: the moment is `scheduled`.
  bool now = false;
  bool catch_up = false;  // a missed moment is followed by a run that begins at once

  Mode mode = Mode::push;
  Consistency consistency = Consistency::fenced;
  std::vector<Member> members;
  std::string sender;     // transfer-agent of the primary
  std::string receiver;   // transfer-agent of the secondary
  std::string registrar;  // of the secondary

  bool before_hook = false;
  bool after_hook = false;
  Span hook_timeout = 60 * kSecond;  // the longer of the two

  std::vector<std::string>
      clock_sources;         // which the clocks of several hosts may follow; empty: any
  Span max_clock_error = 0;  // 0: max_skew alone limits it
  Span max_skew = kSecond;
  Span max_lateness = 5 * kSecond;
  Span deadline = 6 * 3600 * kSecond;  // of the run, from its beginning; not of a seal in doubt
  Span stall = 60 * kSecond;
  Span lease = 120 * kSecond;  // pins that are not committed by then drop themselves
  // How long arming is expected to take (only of meaning with `now`), and how long before the
  // moment fences go up; both learned from the service's last runs.
  Span arm_lead = 100 * kMillisecond;
  Span raise_lead = 30 * kMillisecond;

  const std::string& mover() const { return mode == Mode::push ? sender : receiver; }
};

// Each snapshot-agent that pins a member of `plan`, once, in the order of first mention.
std::vector<std::string> agents_of(const Plan& plan);

// The members in the order in which they are pinned: all members of a stage at the same time, a
// stage only after the one before was acknowledged. One stage, except for `ordered`: there a
// referrer's stage lies before its referee's. Requires that refers_to has no cycle; members of a
// cycle (no checked policy has one) would stand together in a last stage, which the judge refuses.
std::vector<std::vector<std::string>> pin_stages(const Plan& plan);

}  // namespace lockstep::run
