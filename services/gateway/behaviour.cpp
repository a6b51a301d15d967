#include "services/gateway/behaviour.hpp"

namespace lockstep::gateway {

namespace {

constexpr Nanos kSlow = seconds(2);
constexpr Nanos kFrozen = milliseconds(3500);
constexpr Nanos kStuck = seconds(7);  // the heartbeat first
// A subscriber sends its topics, and a few bytes every two seconds.
constexpr std::uint64_t kMostReceived = 256 * 1024;
constexpr Nanos kWindow = seconds(10);
constexpr std::uint64_t kMostUnread = 4096;
constexpr int kUnreadLooks = 10;

}  // namespace

void Behaviour::look(MonoNanos now, const Sample& sample) {
  if (!seen_) {
    seen_ = true;
    idle_at_ = moved_at_ = window_ = now;
  }
  if (sample.unsent == 0) idle_at_ = now;
  if (sample.unsent == 0 || sample.unsent < unsent_) moved_at_ = now;
  unsent_ = sample.unsent;
  frozen_ = now - moved_at_ >= kFrozen || (sample.silent && *sample.silent >= kFrozen);
  stuck_ = now - moved_at_ >= kStuck;
  slow_ = !frozen_ && now - idle_at_ >= kSlow;

  unread_looks_ = sample.unread >= kMostUnread ? unread_looks_ + 1 : 0;
  if (unread_looks_ >= kUnreadLooks) flooding_ = true;
  if (!sample.received) return;
  if (now - window_ >= kWindow) {
    window_ = now;
    window_start_ = *sample.received;
  }
  if (*sample.received - window_start_ > kMostReceived) flooding_ = true;
}

}  // namespace lockstep::gateway
