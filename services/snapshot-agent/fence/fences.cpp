#include "services/snapshot-agent/fence/fences.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/os/failpoint.hpp"
#include "services/snapshot-agent/book.hpp"
#include "services/snapshot-agent/fence/hook.hpp"
#include "services/snapshot-agent/fence/hook_program.hpp"
#include "services/snapshot-agent/parallel.hpp"

namespace lockstep::snapshot {

namespace {

constexpr std::array kOrder = {FenceWish::Kind::hook, FenceWish::Kind::own_lock,
                               FenceWish::Kind::cgroup};

}  // namespace

Fences::Fences(const Tools& tools, std::string service, std::string run)
    : tools_(tools), service_(std::move(service)), run_(std::move(run)) {}

Fences::~Fences() { (void)lower(); }

Result<std::vector<Fences::One>> Fences::plan(const std::vector<FencedSet>& sets, UtcNanos moment) {
  std::vector<One> ones;
  for (const FencedSet& set : sets) {
    if (set.wish.kind == FenceWish::Kind::none) continue;
    const std::string what = set.wish.kind == FenceWish::Kind::hook     ? set.wish.hook
                             : set.wish.kind == FenceWish::Kind::cgroup ? set.wish.cgroup
                                                                        : set.name;
    const std::string id = std::string(kind_name(set.wish.kind)) + " " + what;
    const auto known =
        std::find_if(ones.begin(), ones.end(), [&id](const One& one) { return one.id == id; });
    if (known != ones.end()) {
      known->sets.push_back(set.name);
      known->timeout = std::min(known->timeout, set.wish.timeout);
      continue;
    }
    One one;
    one.kind = set.wish.kind;
    one.id = id;
    one.sets = {set.name};
    one.timeout = set.wish.timeout;
    one.armed = set.armed;
    if (one.kind == FenceWish::Kind::hook) {
      LOCKSTEP_TRY(const std::string program, hook_program(tools_.hooks, what));
      one.pause = {program, "pause"};
    } else if (one.kind == FenceWish::Kind::cgroup) {
      LOCKSTEP_TRY(std::string directory, cgroup_directory(tools_.disk, what));
      one.freeze = std::make_unique<Freeze>(tools_.disk, tools_.clock, directory);
      one.undo = Undo{.kind = Undo::Kind::cgroup,
                      .argv = {},
                      .environment = {},
                      .timeout = one.timeout,
                      .directory = std::move(directory)};
    }
    ones.push_back(std::move(one));
  }
  for (One& one : ones) {
    if (one.kind != FenceWish::Kind::hook) continue;
    const HookOccasion occasion{service_, one.sets, run_, moment, one.timeout};
    one.environment = hook_environment(occasion, "pause");
    one.undo = Undo{.kind = Undo::Kind::hook,
                    .argv = {one.pause.front(), "resume"},
                    .environment = hook_environment(occasion, "resume"),
                    .timeout = one.timeout,
                    .directory = {}};
  }
  return ones;
}

Result<void> Fences::prepare(const std::vector<FencedSet>& sets, UtcNanos moment) {
  LOCKSTEP_TRY(const std::vector<One> ones, plan(sets, moment));
  for (const One& one : ones) {
    if (one.kind == FenceWish::Kind::hook) {
      auto seen = tools_.disk.stat_at(os::kCwd, one.pause.front());
      if (!seen) {
        return from_errno(ErrorCode::fence_failed, seen.error().number, "look at the hook",
                          one.pause.front());
      }
    }
    if (one.undo && !guard_) {
      LOCKSTEP_TRY(guard_, GuardLink::start(tools_, run_));
    }
  }
  for (const One& one : ones) {
    if (one.kind != FenceWish::Kind::cgroup) continue;
    for (const pid_t process : {::getpid(), guard_->pid()}) {
      LOCKSTEP_TRY(const bool inside, lives_in(tools_.disk, process, one.undo->directory));
      if (!inside) continue;
      return make_error(ErrorCode::fence_failed,
                        process == ::getpid() ? "the agent itself runs in the cgroup to be frozen"
                                              : "the guard runs in the cgroup to be frozen",
                        one.undo->directory, "run the agent in a cgroup of its own");
    }
  }
  return {};
}

// What is to be undone is known to the journal and to the guard before anything is done.
Result<void> Fences::announce(const std::vector<One>& ones) {
  if (std::none_of(ones.begin(), ones.end(), [](const One& one) { return one.undo.has_value(); })) {
    return {};
  }
  LOCKSTEP_CHECK(tools_.journal.transact(
      "fence-intent", [&](journal::Transaction& transaction) -> Result<void> {
        for (const One& one : ones) {
          if (!one.undo) continue;
          for (const std::string& set : one.sets) {
            Book::put_fence(transaction, {run_, service_, set, to_text(*one.undo)});
          }
        }
        return {};
      }));
  for (const One& one : ones) {
    if (one.undo) LOCKSTEP_CHECK(guard_->watch(one.id, one.timeout, *one.undo));
  }
  os::failpoint("fence.announced");
  return {};
}

Result<void> Fences::put_up(One& one, std::stop_token stop) {
  one.raised.requested = tools_.clock.utc();
  one.until = tools_.clock.mono() + one.timeout;
  if (one.kind == FenceWish::Kind::own_lock) {
    LOCKSTEP_TRY(one.raised, one.armed->raise_fence(one.timeout));
    one.tried = true;
    return {};
  }
  // Of one that fails something may be left all the same: a hook that was stopped half-way.
  one.tried = true;
  Result<void> raised =
      one.kind == FenceWish::Kind::hook
          ? run_hook(tools_.processes, one.pause, one.environment, one.timeout, stop)
          : one.freeze->freeze(one.timeout, stop);
  os::failpoint("fence.up");
  one.raised.acknowledged = tools_.clock.utc();
  return raised;
}

Result<std::vector<RaisedFence>> Fences::raise(const std::vector<FencedSet>& sets, UtcNanos moment,
                                               std::stop_token stop) {
  LOCKSTEP_TRY(std::vector<One> ones, plan(sets, moment));
  if (auto announced = announce(ones); !announced) {
    lower_all(ones);
    return std::move(announced).error();
  }
  std::vector<Result<void>> outcomes(ones.size());
  std::vector<One> raised;
  for (const FenceWish::Kind kind : kOrder) {
    std::vector<std::size_t> now;
    for (std::size_t i = 0; i < ones.size(); ++i) {
      if (ones[i].kind == kind) now.push_back(i);
    }
    if (now.empty()) continue;
    in_parallel(now.size(), [&](std::size_t i) { outcomes[now[i]] = put_up(ones[now[i]], stop); });
    const auto failed = std::find_if(now.begin(), now.end(),
                                     [&](std::size_t i) { return !outcomes[i].has_value(); });
    if (failed != now.end()) {
      lower_all(ones);
      return std::move(outcomes[*failed]).error();
    }
  }
  std::vector<RaisedFence> told;
  for (const FenceWish::Kind kind : kOrder) {
    for (One& one : ones) {
      if (one.kind != kind) continue;
      for (const std::string& set : one.sets) told.push_back({set, one.kind, one.raised});
      up_.push_back(std::move(one));
    }
  }
  return told;
}

component::FenceEnd Fences::take_down(One& one) {
  component::FenceEnd end;
  const bool in_time = tools_.clock.mono() < one.until;
  if (one.kind == FenceWish::Kind::own_lock) {
    auto lowered = one.armed->lower_fence();
    one.is_down = true;  // by the component's own doing, or with this process
    if (lowered) {
      end = std::move(*lowered);
    } else {
      end.lowered.requested = end.lowered.acknowledged = tools_.clock.utc();
      end.detail = lowered.error().text();
    }
  } else {
    const bool frozen = one.kind != FenceWish::Kind::cgroup || one.freeze->held();
    end.lowered.requested = tools_.clock.utc();
    auto undone = perform(*one.undo, tools_.disk, tools_.processes);
    os::failpoint("fence.undone");
    end.lowered.acknowledged = tools_.clock.utc();
    one.is_down = undone.has_value();
    end.held = frozen && one.is_down;
    if (!frozen) end.detail = "the cgroup did not stay frozen";
    if (!undone) end.detail = undone.error().text();
  }
  if (!in_time) {
    end.held = false;
    end.detail = "it stood for longer than its time-out of " + to_duration(one.timeout);
  }
  return end;
}

void Fences::lower_all(std::vector<One>& ones) {
  for (auto kind = kOrder.rbegin(); kind != kOrder.rend(); ++kind) {
    std::vector<One*> now;
    for (One& one : ones) {
      if (one.kind == *kind && one.tried) now.push_back(&one);
      if (!one.tried) one.is_down = true;
    }
    if (now.empty()) continue;
    std::vector<component::FenceEnd> ends(now.size());
    in_parallel(now.size(), [&](std::size_t i) { ends[i] = take_down(*now[i]); });
    for (std::size_t i = 0; i < now.size(); ++i) {
      for (const std::string& set : now[i]->sets) {
        lowered_.push_back({set, ends[i].lowered, ends[i].held, ends[i].detail});
      }
    }
  }
  // What could not be undone stays with the guard, which tries once more at the time-out, and in
  // the journal, for the agent's next start.
  std::vector<std::string> down;
  for (const One& one : ones) {
    if (!one.undo || !one.is_down) continue;
    if (guard_) (void)guard_->forget(one.id);  // told in vain, it undoes what is down: harmless
    down.insert(down.end(), one.sets.begin(), one.sets.end());
  }
  if (!down.empty()) {
    // Not written, it is undone once more at the next start: harmless too.
    (void)tools_.journal.transact("fence-down",
                                  [&](journal::Transaction& transaction) -> Result<void> {
                                    for (const std::string& set : down) {
                                      Book::remove_fence(transaction, run_, set);
                                    }
                                    return {};
                                  });
  }
  ones.clear();
}

std::vector<LoweredFence> Fences::lower() {
  lower_all(up_);
  return lowered_;
}

std::optional<MonoNanos> Fences::first_timeout() const {
  if (up_.empty()) return std::nullopt;
  return std::min_element(up_.begin(), up_.end(),
                          [](const One& a, const One& b) { return a.until < b.until; })
      ->until;
}

}  // namespace lockstep::snapshot
