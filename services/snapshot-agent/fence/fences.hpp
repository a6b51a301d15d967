// Fences: what holds the writers of one run's data sets on this agent (docs/fences.md).
//
// Raised in this order, each kind at once: hooks (the application ends what it is about while its
// database still answers), the databases' own locks, then cgroups (a frozen process may hold a lock
// for ever). Taken down in the reverse order.
//
// Thread rule: one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/component/snapshots.hpp"
#include "services/snapshot-agent/fence/cgroup.hpp"
#include "services/snapshot-agent/guard/link.hpp"
#include "services/snapshot-agent/sets.hpp"
#include "services/snapshot-agent/tools.hpp"

namespace lockstep::snapshot {

struct FencedSet {
  std::string name;
  FenceWish wish;
  component::Armed* armed = nullptr;  // whose own lock it may be; outlives the fence
};

struct RaisedFence {
  std::string set;
  FenceWish::Kind kind = FenceWish::Kind::none;
  Interval raised;
};

struct LoweredFence {
  std::string set;
  Interval lowered;
  bool held = false;
  std::string detail;
};

class Fences {
 public:
  Fences(const Tools& tools, std::string service, std::string run);
  // Takes down what stands.
  ~Fences();

  // At arm: hooks can be found, cgroups can be frozen and hold neither the agent nor the guard; the
  // guard is started where there is something for it to undo. Errors: fence-failed.
  Result<void> prepare(const std::vector<FencedSet>& sets, UtcNanos moment);

  // Raises the fences of those sets. On error all that this call raised is down again. Errors:
  // fence-failed, hook-failed, sqlite-busy, journal-*.
  Result<std::vector<RaisedFence>> raise(const std::vector<FencedSet>& sets, UtcNanos moment,
                                         std::stop_token stop);

  // Takes down what stands, and tells of all that were ever raised.
  std::vector<LoweredFence> lower();

  bool any_up() const { return !up_.empty(); }
  // When the first of those that stand has stood for its timeout; nothing where none stands.
  std::optional<MonoNanos> first_timeout() const;

 private:
  // One thing that holds writers: a hook or a cgroup may do so for several sets.
  struct One {
    FenceWish::Kind kind = FenceWish::Kind::none;
    std::string id;
    std::vector<std::string> sets;
    Nanos timeout;
    component::Armed* armed = nullptr;
    std::optional<Undo> undo;
    std::vector<std::string> pause;
    std::map<std::string, std::string> environment;
    std::unique_ptr<Freeze> freeze;
    Interval raised;
    MonoNanos until;
    bool tried = false;    // to be raised
    bool is_down = false;  // for certain
  };

  Result<std::vector<One>> plan(const std::vector<FencedSet>& sets, UtcNanos moment);
  Result<void> announce(const std::vector<One>& ones);
  Result<void> put_up(One& one, std::stop_token stop);
  component::FenceEnd take_down(One& one);
  void lower_all(std::vector<One>& ones);

  const Tools& tools_;
  std::string service_;
  std::string run_;
  std::unique_ptr<GuardLink> guard_;
  std::vector<One> up_;  // in the order of raising
  std::vector<LoweredFence> lowered_;
};

}  // namespace lockstep::snapshot
