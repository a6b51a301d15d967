// Policy: one service's wishes, from a YAML document (docs/policy.md; samples in docs/samples).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/clock/moment.hpp"
#include "common/component/data_set.hpp"
#include "common/error/error.hpp"
#include "common/message/envelope.hpp"

namespace lockstep::policy {

enum class Mode { push, pull };
enum class Consistency { fenced, ordered, bounded };

struct Fence {
  enum class Kind { none, own_lock, hook, cgroup } kind = Kind::none;
  std::string hook;    // a name; <hooks directory>/<name> pause|resume is run
  std::string cgroup;  // path below the cgroup v2 mount
  Nanos timeout = seconds(5);
};

struct Pair {  // the other side of a data set
  std::string component;
  component::Place place;
  std::string agent;  // empty: the cluster's only snapshot- / transfer-agent
};

struct DataSet {
  std::string name;
  std::string component;
  component::Place place;
  std::string agent;  // the snapshot-agent that pins it; empty: the cluster's only one
  Pair to;            // place.location empty: the same place under the other cluster's root
  Fence fence;        // sqlite without `fence:` has own_lock
  std::vector<std::string> refers_to;
  std::vector<std::string> exclude;
  bool allow_writer_stall = false;
  // Where a later transfer finds its base gone: carry everything, or fail (base-lost).
  enum class OnBaseLost { full, fail } on_base_lost = OnBaseLost::full;
  // What carries the content of what is carried whole, and of HBase what is new; `automatic`
  // decides by its size.
  enum class Engine { stream, distcp, exportsnapshot, automatic } engine = Engine::stream;
};

// As policies and instructions write it: "stream", "distcp", "exportsnapshot", "auto".
const char* engine_name(DataSet::Engine engine);

// Whether the set's engine is one for data of its kind on both sides; the stream is for all.
bool engine_fits(const DataSet& set);

struct Hook {  // before and after a run, on the control device's host
  std::vector<std::string> argv;
  Nanos timeout = seconds(60);
};

struct Schedule {
  std::string cron;          // five fields; empty: none
  std::string zone = "UTC";  // IANA name
  std::optional<Nanos> every;
  std::vector<UtcNanos> moments;  // explicit
  enum class Missed { run, skip } missed = Missed::run;
};

struct Drill {  // bringing the newest point up and checking it, by a schedule of its own
  Schedule schedule;
  std::vector<std::string> check;  // run on the host that keeps the point
  Nanos timeout = seconds(3600);   // of the check
  Nanos max_age;                   // 0: not stated; else how old the last good drill may be
};

struct Retention {  // counts; 0: that rule keeps nothing of its own
  int last = 0, hourly = 0, daily = 0, weekly = 0, monthly = 0;
  bool any() const { return last + hourly + daily + weekly + monthly > 0; }
};

struct Policy {
  std::string service;  // [a-z0-9][a-z0-9-]{0,62}
  std::string primary;  // cluster that is backed up; empty: the one that holds the identity
  Mode mode = Mode::push;
  Consistency consistency = Consistency::fenced;
  Nanos max_skew = seconds(1);
  Nanos max_lateness = seconds(5);
  Nanos rpo;  // 0: not stated
  Nanos stall = seconds(60);
  Nanos deadline = seconds(6 * 3600);
  int attempts = 3;
  int max_pending = 3;
  std::uint64_t bandwidth = 0;  // bytes a second; 0: no limit
  bool compress = true;         // where a sample shows that it pays
  bool user_data = false;       // the cluster's directory is pinned with each run (docs/users.md)
  std::optional<Hook> before, after;
  Schedule schedule;
  std::vector<DataSet> data_sets;
  Retention retention;
  std::optional<Drill> drill;
};

// Reads one document. `file` is for messages only. Errors: config-* with file:line:column.
Result<Policy> parse(const std::string& yaml, const std::string& file);

// As a message body (schemas/policy.json) and back; the form in which policies travel and are kept.
message::Body to_body(const Policy& policy);
Result<Policy> from_body(const message::Body& body);

// The policy's own consistency: fenced needs all but one set fenced (the one left of a kind whose
// pin is one instant), ordered needs an acyclic refers_to, names are unique, ... Every finding at
// once. `warning` findings do not forbid applying.
struct Finding {
  bool warning = false;
  std::string where;  // "data_sets[1].path"
  std::string what;
  std::string hint;
};
std::vector<Finding> check(const Policy& policy);

// What check_together needs to know of the site.
struct Layout {
  std::map<std::string, std::string> roots;  // cluster to its root
  std::string primary;   // the cluster that holds the identity: meant where a policy names none
  bool one_host = true;  // the clusters' paths are paths of one machine
  std::optional<std::set<std::string>> with_hdfs;   // clusters; nothing: not known
  std::optional<std::set<std::string>> with_hbase;  // likewise
};

// Against the others of the site: a place claimed by two services, a path inside another's, a
// target that overlaps a source (on one machine) or another target, a place in Lockstep's own
// store. `where` begins with the service's name.
std::vector<Finding> check_together(const std::vector<Policy>& all, const Layout& layout);

// The next instant after `after` at which the schedule fires; nothing if never again. Cron as in
// crontab(5), in the schedule's zone; a local time that does not exist (DST) fires at the first
// instant after the gap, one that exists twice fires once, at the first.
Result<std::optional<UtcNanos>> next_moment(const Schedule& schedule, UtcNanos after);

// Where the other side of `set` lies: `to.place`, or the same place under `other_root`. A source
// below `own_root` keeps its path relative to it, any other its whole path.
std::string target_location(const DataSet& set, const std::string& own_root,
                            const std::string& other_root);

}  // namespace lockstep::policy
