// Snapshots: how a component fixes the content of its data sets on the primary.
//
// The agent calls, for one run and one data set: arm -> [raise_fence] -> ready -> pin ->
// [lower_fence] -> settle, and later drop. A pin is the one step that is never resumed: after a
// crash between pin and its record the agent drops what find() shows.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/component/data_set.hpp"

namespace lockstep::component {

// What a pin is, as the certificate will say it.
struct Pinned {
  Version version;
  Interval interval;    // the act itself, on the host's clock
  bool durable = true;  // survives the agent's death; else call settle() before the fence falls
                        // or right after it, as `settle_under_fence` of Estimate says
  // True where the content is that of one instant inside the interval whatever writers do (a btrfs
  // snapshot, SQLite).
  bool one_instant = true;
  // Of a pin that is not: true where the component itself proved that nothing changed from
  // `requested` to `acknowledged` (a tree clone with the ctime proof). Skew then counts it at
  // `requested`. False where parts may show different instants (an HBase table that is written):
  // without a fence skew then counts the whole interval.
  bool quiet = false;
  std::string method;  // "btrfs-snapshot", "reflink-clone", "copy", "sqlite-reflink", ...
  std::vector<std::string> caveats;  // sentences for the certificate
};

// What arming found out.
struct Estimate {
  Nanos pin;                   // how long pin() is expected to take under the fence
  bool needs_fence = false;    // pin() would have to be repeated, or fail, were writers not held
  bool has_own_fence = false;  // raise_fence() works (SQLite's write lock)
  bool one_instant = true;     // as Pinned::one_instant will be
  std::string method;          // as Pinned::method will be
};

struct FenceEnd {
  Interval lowered;
  bool held = false;   // without a break from raised to lowered; unknown counts as false
  std::string detail;  // why not, when not held
};

// One data set, armed for one run. Destroying it lowers the fence and disarms.
// Thread rule: used by one thread at a time; different Armed objects by different threads at once.
class Armed {
 public:
  virtual ~Armed() = default;

  virtual const Estimate& estimate() const = 0;

  // Holds the writers by the component's own lock. Errors: fence-failed (named reason),
  // sqlite-busy, not-supported where has_own_fence is false. Returns when the fence stands; the
  // interval is the act of raising it.
  virtual Result<Interval> raise_fence(Nanos timeout) = 0;

  // Does what pin() would else spend its time on: shortly before the fences go up, and once more,
  // in short, under them, before any set of the agent is pinned, so that pins are near one another.
  // Where there are no fences once, or not at all where no time is left. Changes nothing that a
  // user can see. Errors: io.
  virtual Result<void> ready() { return {}; }

  // Fixes the content. Errors: pin-failed, set-changed (the proof of quiet failed), source-read,
  // no-space. On error nothing is left behind.
  virtual Result<Pinned> pin() = 0;

  // Releases what raise_fence took, and tells whether it was held without a break.
  virtual Result<FenceEnd> lower_fence() = 0;

  // Makes a volatile pin durable (copies it out). Called after the fence fell; for durable pins it
  // returns the version at once. Errors: pin-lost, no-space.
  virtual Result<Version> settle(const Context& context) = 0;
};

// Thread rule: all members may be called from any thread.
class Snapshots {
 public:
  virtual ~Snapshots() = default;

  // Opens and checks everything that pin() will need; flushes what it can (so that less is left to
  // do under the fence); changes nothing that a user can see. Errors: set-missing, permission,
  // not-supported, fence-too-long, nested-mount, sqlite-not-a-database.
  virtual Result<std::unique_ptr<Armed>> arm(const Context& context, const DataSet& set,
                                             UtcNanos moment) = 0;

  // The version named for `context.run`, complete or not, if there is one: how an agent finds after
  // a restart what it may have made. Half-made ones are returned too, so that they can be dropped.
  virtual Result<std::optional<Version>> find(const Context& context, const DataSet& set) = 0;

  // Every version of the set that lies in the store, for the check "no snapshot without a hold".
  virtual Result<std::vector<Version>> list(const DataSet& set) = 0;

  // Removes a version; of one that is gone already: success.
  virtual Result<void> drop(const Context& context, const Version& version) = 0;
};

}  // namespace lockstep::component
