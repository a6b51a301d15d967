// What a component is told of a data set and of the work it is part of.
//
// Words as in docs/architecture.md: a *data set* is what one component holds for a service; a
// *version* is one fixed content of it (a pin on the primary, a kept version on the secondary).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/clock/moment.hpp"
#include "common/error/error.hpp"

namespace lockstep::component {

// A data set's name: unique over a site. Both parts are made of [a-z0-9-], so that the pair may
// stand in file names.
struct SetId {
  std::string service;
  std::string set;
  auto operator<=>(const SetId&) const = default;
};

// Where a component keeps a data set. `location` is the component's own address (an absolute path
// for files and sqlite); `options` are the policy's further keys for it, already checked.
struct Place {
  std::string location;
  std::map<std::string, std::string> options;
};

struct DataSet {
  SetId id;
  std::string component;  // "files", "sqlite", ...
  Place place;
  std::vector<std::string> exclude;  // patterns, docs/policy.md; relative to the set's root
  // The longest time a fence around this set may stand (policy `fence.timeout`); a pin whose work
  // under the fence is estimated to be longer is refused at arm with fence-too-long.
  Nanos fence_timeout = seconds(5);
  // True where the policy fences this set's writers by a hook or a cgroup (the agent's business);
  // a component's own lock is asked for through Armed::raise_fence instead.
  bool fenced_from_outside = false;
  bool allow_writer_stall = false;  // sqlite: a rollback journal without reflink may stall writers
};

// One fixed content. `native` is journaled by the caller and handed back as it was; only the
// component that made it reads it. `name` is the run's (a UUIDv7 in text), so that making a version
// again under the same name finds it made.
struct Version {
  SetId id;
  std::string component;
  std::string name;
  std::string native;
};

// What a call is part of. `progress` is told how far the call has come, in all; it may be called
// often and is cheap.
struct Context {
  std::string run;  // UUIDv7 of the run, in text
  int attempt = 1;
  std::stop_token stop;
  // By when the caller wants the answer, on this host's clock; nothing: no hurry. arm() may use
  // what time there is to leave less for the fence.
  std::optional<UtcNanos> deadline = {};
  std::function<void(std::uint64_t entries, std::uint64_t bytes)> progress = {};
};

}  // namespace lockstep::component
