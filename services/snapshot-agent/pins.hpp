// Pins: the work of one run on this agent's data sets, from arming to settling. What may be done
// when is logic/run_state.hpp's; what is journaled of it is agent.cpp's.
//
// Thread rule: one thread at a time; each call spreads over threads of its own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/component/component.hpp"
#include "common/service/progress.hpp"
#include "services/snapshot-agent/fence/fences.hpp"
#include "services/snapshot-agent/sets.hpp"
#include "services/snapshot-agent/tools.hpp"

namespace lockstep::snapshot {

struct ArmedSet {
  std::string name;
  component::Estimate estimate;
};

struct PinnedSet {
  std::string name;
  component::Pinned pinned;
};

struct SettledSet {
  std::string name;
  component::Version version;
};

// Told how far each set has come; null: nobody asks.
using ProgressPtr = std::shared_ptr<service::ProgressBoard>;

class Pins {
 public:
  Pins(const Tools& tools, std::string service, std::string run);

  // Arms all sets at once. Error: the first set's that cannot be armed, its name in front; then
  // none is.
  Result<std::vector<ArmedSet>> arm(const std::vector<OwnSet>& sets, UtcNanos moment,
                                    std::optional<UtcNanos> deadline, std::stop_token stop,
                                    const ProgressPtr& progress = {});
  void move_moment(UtcNanos moment) { moment_ = moment; }

  // At `at`, or at once where it has passed. All sets, fenced or not, are made ready shortly before
  // it and once more under the fences. On error all that this call raised is down again.
  Result<std::vector<RaisedFence>> raise(const std::vector<std::string>& names, UtcNanos at,
                                         std::stop_token stop);
  // All at once at `at`; made ready before it where no fence was raised here and there is time.
  // Errors: as of Armed::ready() and Armed::pin(), judge-clock (the clock was set since arm),
  // cancelled. On error nothing of the sets named is pinned any more.
  Result<std::vector<PinnedSet>> pin(const std::vector<std::string>& names, UtcNanos at,
                                     std::stop_token stop);
  std::vector<LoweredFence> lower() { return fences_.lower(); }
  const Fences& fences() const { return fences_; }

  // Makes all pins durable and lets go of the sets.
  Result<std::vector<SettledSet>> settle(std::stop_token stop, const ProgressPtr& progress = {});

  // Takes down the fences, disarms, and removes whatever versions of the run lie in the stores.
  // Errors: as of Snapshots::find() and drop(); what failed is tried again by the caller.
  Result<void> drop(const std::vector<OwnSet>& sets);

 private:
  struct Member {
    OwnSet set;
    component::Snapshots* snapshots = nullptr;
    std::unique_ptr<component::Armed> armed;
    std::optional<component::Pinned> pinned;
  };

  component::Context context(std::stop_token stop) const;
  component::Context context(std::stop_token stop, const Member& member,
                             const ProgressPtr& progress) const;
  Result<void> arm_one(Member& member, std::optional<UtcNanos> deadline, std::stop_token stop,
                       const ProgressPtr& progress);
  Result<void> make_ready();  // all of them
  Result<void> ready_under_fences(std::stop_token stop);
  Result<void> pin_one(Member& member, UtcNanos at, std::stop_token stop);
  Result<void> wait_for(UtcNanos at, std::stop_token stop) const;
  Result<void> same_clock(const std::string& when) const;
  std::vector<Member*> named(const std::vector<std::string>& names);
  std::vector<Member*> everyone();

  const Tools& tools_;
  std::string service_;
  std::string run_;
  UtcNanos moment_;
  Nanos offset_at_arm_;
  std::vector<Member> members_;
  bool ready_ = false;  // all were made ready once
  Fences fences_;       // lowered before the members go
};

}  // namespace lockstep::snapshot
