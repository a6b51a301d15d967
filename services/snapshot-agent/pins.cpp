#include "services/snapshot-agent/pins.hpp"

#include <algorithm>

#include "services/snapshot-agent/parallel.hpp"

namespace lockstep::snapshot {

namespace {

// REALTIME minus MONOTONIC moves by what the clock is set, and by what passes between reading the
// one and the other: the least of a few readings is near the truth on a busy host too.
constexpr Nanos kStep = milliseconds(10);
constexpr int kReadings = 5;

// When sets are made ready, before their pins or fences: as late as it may be, for what writers do
// afterwards is to be done again; and not at all where less time is left.
constexpr Nanos kReadyBefore = milliseconds(500);
constexpr Nanos kReadyAtLeast = milliseconds(250);

Error about(const std::string& set, Error error) {
  error.what = "data set " + set + ": " + error.what;
  return error;
}

// The first error, in the order of the sets.
template <class Members>
Result<void> all_of(const Members& members, std::vector<Result<void>> outcomes) {
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (!outcomes[i]) return about(members[i]->set.data.id.set, std::move(outcomes[i]).error());
  }
  return {};
}

}  // namespace

Pins::Pins(const Tools& tools, std::string service, std::string run)
    : tools_(tools),
      service_(std::move(service)),
      run_(std::move(run)),
      fences_(tools, service_, run_) {}

component::Context Pins::context(std::stop_token stop) const {
  component::Context context;
  context.run = run_;
  context.stop = stop;
  return context;
}

component::Context Pins::context(std::stop_token stop, const Member& member,
                                 const ProgressPtr& progress) const {
  component::Context context = this->context(stop);
  if (progress) {
    context.progress = [progress, set = member.set.data.id.set](std::uint64_t entries,
                                                                std::uint64_t bytes) {
      progress->put(set, {entries, bytes});
    };
    progress->put(member.set.data.id.set, {});
  }
  return context;
}

std::vector<Pins::Member*> Pins::named(const std::vector<std::string>& names) {
  std::vector<Member*> found;
  for (Member& member : members_) {
    if (std::find(names.begin(), names.end(), member.set.data.id.set) != names.end()) {
      found.push_back(&member);
    }
  }
  return found;
}

std::vector<Pins::Member*> Pins::everyone() {
  std::vector<Member*> all;
  for (Member& member : members_) all.push_back(&member);
  return all;
}

Result<void> Pins::arm_one(Member& member, std::optional<UtcNanos> deadline, std::stop_token stop,
                           const ProgressPtr& progress) {
  component::Component* component = tools_.components.find(member.set.data.component);
  member.snapshots = component != nullptr ? component->snapshots() : nullptr;
  if (member.snapshots == nullptr) {
    return make_error(ErrorCode::not_supported,
                      "this agent cannot pin the component " + member.set.data.component,
                      member.set.data.place.location);
  }
  component::Context context = this->context(stop, member, progress);
  context.deadline = deadline;
  LOCKSTEP_TRY(member.armed, member.snapshots->arm(context, member.set.data, moment_));
  if (member.set.fence.kind == FenceWish::Kind::own_lock &&
      !member.armed->estimate().has_own_fence) {
    return make_error(ErrorCode::fence_failed,
                      "the component " + member.set.data.component + " has no lock of its own",
                      member.set.data.place.location, "fence it with a hook or a cgroup");
  }
  return {};
}

Result<std::vector<ArmedSet>> Pins::arm(const std::vector<OwnSet>& sets, UtcNanos moment,
                                        std::optional<UtcNanos> deadline, std::stop_token stop,
                                        const ProgressPtr& progress) {
  moment_ = moment;
  offset_at_arm_ = tools_.clock.realtime_offset();
  for (const OwnSet& set : sets) {
    Member member;
    member.set = set;
    members_.push_back(std::move(member));
  }
  const std::vector<Member*> all = everyone();
  std::vector<FencedSet> fenced;
  std::vector<Result<void>> outcomes(all.size());
  in_parallel(all.size(),
              [&](std::size_t i) { outcomes[i] = arm_one(*all[i], deadline, stop, progress); });
  LOCKSTEP_CHECK(all_of(all, std::move(outcomes)));
  std::vector<ArmedSet> armed;
  for (const Member& member : members_) {
    armed.push_back({member.set.data.id.set, member.armed->estimate()});
    fenced.push_back({member.set.data.id.set, member.set.fence, member.armed.get()});
  }
  LOCKSTEP_CHECK(fences_.prepare(fenced, moment));
  return armed;
}

Result<void> Pins::wait_for(UtcNanos at, std::stop_token stop) const {
  while (tools_.clock.utc() < at) {
    // `stepped`: the clock was set; look again at what is left to wait.
    if (tools_.clock.wait_until(at, stop) == Clock::Wake::stopped) break;
  }
  if (stop.stop_requested()) {
    return make_error(ErrorCode::cancelled, "the step was stopped before its instant", run_);
  }
  return {};
}

Result<void> Pins::same_clock(const std::string& when) const {
  Nanos moved;
  for (int reading = 0; reading < kReadings; ++reading) {
    const Nanos now = tools_.clock.realtime_offset() - offset_at_arm_;
    const Nanos size{now.count < 0 ? -now.count : now.count};
    if (reading == 0 || size < moved) moved = size;
    if (moved < kStep) return {};
  }
  return make_error(ErrorCode::judge_clock,
                    "the clock was set by " + to_duration(moved) + " between arm and " + when,
                    tools_.name);
}

Result<void> Pins::make_ready() {
  ready_ = true;
  const std::vector<Member*> all = everyone();
  std::vector<Result<void>> outcomes(all.size());
  in_parallel(all.size(), [&](std::size_t i) { outcomes[i] = all[i]->armed->ready(); });
  return all_of(all, std::move(outcomes));
}

Result<void> Pins::ready_under_fences(std::stop_token stop) {
  if (stop.stop_requested()) {
    return make_error(ErrorCode::cancelled, "the step was stopped as the fences were up", run_);
  }
  return make_ready();
}

Result<std::vector<RaisedFence>> Pins::raise(const std::vector<std::string>& names, UtcNanos at,
                                             std::stop_token stop) {
  std::vector<FencedSet> fenced;
  for (const Member* member : named(names)) {
    fenced.push_back({member->set.data.id.set, member->set.fence, member->armed.get()});
  }
  LOCKSTEP_CHECK(wait_for(at - kReadyBefore, stop));
  LOCKSTEP_CHECK(make_ready());  // so that there is little left to do while writers are held
  LOCKSTEP_CHECK(wait_for(at, stop));
  LOCKSTEP_TRY(std::vector<RaisedFence> raised, fences_.raise(fenced, moment_, stop));
  // Here, and not as the pins begin: no agent pins before the fences of all have been confirmed.
  if (auto ready = ready_under_fences(stop); !ready) {
    (void)fences_.lower();
    return std::move(ready).error();
  }
  return raised;
}

Result<void> Pins::pin_one(Member& member, UtcNanos at, std::stop_token stop) {
  LOCKSTEP_CHECK(wait_for(at, stop));
  LOCKSTEP_CHECK(same_clock("request"));
  LOCKSTEP_TRY(member.pinned, member.armed->pin());
  return same_clock("acknowledgement");
}

Result<std::vector<PinnedSet>> Pins::pin(const std::vector<std::string>& names, UtcNanos at,
                                         std::stop_token stop) {
  const std::vector<Member*> members = named(names);
  std::vector<Result<void>> outcomes(members.size());
  // Other agents' writers may be held already: where no time is left for it, the pins come first.
  if (!ready_ && tools_.clock.utc() < at - kReadyAtLeast) {
    LOCKSTEP_CHECK(wait_for(at - kReadyBefore, stop));
    LOCKSTEP_CHECK(make_ready());
  }
  // The threads are there before the instant, so that nothing but the pins happens at it.
  in_parallel(members.size(), [&](std::size_t i) { outcomes[i] = pin_one(*members[i], at, stop); });
  LOCKSTEP_CHECK(all_of(members, std::move(outcomes)));
  std::vector<PinnedSet> pinned;
  for (const Member* member : members) {
    pinned.push_back({member->set.data.id.set, *member->pinned});
  }
  return pinned;
}

Result<std::vector<SettledSet>> Pins::settle(std::stop_token stop, const ProgressPtr& progress) {
  const std::vector<Member*> all = everyone();
  std::vector<component::Version> versions(all.size());
  std::vector<Result<void>> outcomes(all.size());
  in_parallel(all.size(), [&](std::size_t i) {
    auto settled = all[i]->armed->settle(context(stop, *all[i], progress));
    if (settled) {
      versions[i] = std::move(*settled);
    } else {
      outcomes[i] = std::move(settled).error();
    }
  });
  LOCKSTEP_CHECK(all_of(all, std::move(outcomes)));
  std::vector<SettledSet> settled;
  for (std::size_t i = 0; i < all.size(); ++i) {
    settled.push_back({all[i]->set.data.id.set, versions[i]});
    all[i]->armed.reset();
  }
  return settled;
}

Result<void> Pins::drop(const std::vector<OwnSet>& sets) {
  (void)lower();  // tells of each; nobody is left to hear it
  for (Member& member : members_) member.armed.reset();
  members_.clear();
  std::vector<Result<void>> outcomes(sets.size());
  in_parallel(sets.size(), [&](std::size_t i) {
    component::Component* component = tools_.components.find(sets[i].data.component);
    component::Snapshots* snapshots = component != nullptr ? component->snapshots() : nullptr;
    if (snapshots == nullptr) return;  // then nothing of it was ever made here
    auto found = snapshots->find(context({}), sets[i].data);
    if (!found) {
      outcomes[i] = std::move(found).error();
    } else if (*found) {
      outcomes[i] = snapshots->drop(context({}), **found);
    }
  });
  for (std::size_t i = 0; i < sets.size(); ++i) {
    if (!outcomes[i]) return about(sets[i].data.id.set, std::move(outcomes[i]).error());
  }
  return {};
}

}  // namespace lockstep::snapshot
