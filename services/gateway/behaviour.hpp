// Behaviour: how one connection of the feed behaves, judged from what the kernel tells of it.
// Pure: samples and instants in, a judgement out.
//
// libzmq cannot be asked whom it drops messages for, nor be told to drop a peer. The kernel knows
// what a peer has not taken, and what it sends.
#pragma once

#include <cstdint>
#include <optional>

#include "common/clock/moment.hpp"

namespace lockstep::gateway {

// One look at a connection's descriptor.
struct Sample {
  std::uint64_t unsent = 0;               // bytes written that the peer has not taken (SIOCOUTQ)
  std::uint64_t unread = 0;               // bytes of the peer's that were not read yet (FIONREAD)
  std::optional<std::uint64_t> received;  // bytes it ever sent (TCP only)
  std::optional<Nanos> silent;            // since it last sent anything (TCP only)
};

class Behaviour {
 public:
  void look(MonoNanos now, const Sample& sample);

  // It sends more than any subscriber has to say; to be disconnected.
  bool flooding() const { return flooding_; }
  // It takes less than it is sent, for two seconds now.
  bool slow() const { return slow_; }
  // It takes nothing, or says nothing though it is asked every two seconds, for 3.5 s now. The
  // heartbeat ends it after six, where it could still be asked.
  bool frozen() const { return frozen_; }
  // It takes nothing for seven seconds now; to be disconnected. libzmq waits for an answer only to
  // a ping that it could write, and to one whose buffers were full before the first it writes none.
  bool stuck() const { return stuck_; }

 private:
  bool seen_ = false;
  MonoNanos idle_at_;   // when nothing was left to be taken
  MonoNanos moved_at_;  // when it last took something
  std::uint64_t unsent_ = 0;
  int unread_looks_ = 0;
  MonoNanos window_;  // of what it sends
  std::uint64_t window_start_ = 0;
  bool flooding_ = false;
  bool slow_ = false;
  bool frozen_ = false;
  bool stuck_ = false;
};

}  // namespace lockstep::gateway
