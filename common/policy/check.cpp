// A policy's own consistency.
#include <algorithm>
#include <map>
#include <set>

#include "common/component/user_capture.hpp"
#include "common/policy/kinds.hpp"
#include "common/policy/paths.hpp"
#include "common/policy/policy.hpp"

namespace lockstep::policy {

namespace {

class Checker {
 public:
  explicit Checker(const Policy& policy) : policy_(policy) {}

  std::vector<Finding> run() {
    names();
    for (std::size_t i = 0; i < policy_.data_sets.size(); ++i) one_set(i);
    places();
    references();
    if (policy_.consistency == Consistency::fenced) fenced();
    if (policy_.consistency == Consistency::ordered) ordered();
    collapse();
    times();
    return std::move(findings_);
  }

 private:
  static std::string set_at(std::size_t i, std::string_view key = {}) {
    std::string out = "data_sets[" + std::to_string(i) + "]";
    if (!key.empty()) out += "." + std::string{key};
    return out;
  }
  void error(std::string where, std::string what, std::string hint = {}) {
    findings_.push_back({false, std::move(where), std::move(what), std::move(hint)});
  }
  void warn(std::string where, std::string what, std::string hint = {}) {
    findings_.push_back({true, std::move(where), std::move(what), std::move(hint)});
  }

  void names() {
    if (policy_.data_sets.empty()) error("data_sets", "there is no data set");
    std::set<std::string> seen;
    for (std::size_t i = 0; i < policy_.data_sets.size(); ++i) {
      const auto& name = policy_.data_sets[i].name;
      if (!seen.insert(name).second) {
        error(set_at(i, "name"), "the name `" + name + "` stands twice");
      }
      if (policy_.user_data && name == component::kUserDataSet) {
        error(set_at(i, "name"), "the name `" + name + "` is that of the user data", "rename it");
      }
    }
  }

  void one_set(std::size_t i) {
    const auto& set = policy_.data_sets[i];
    const Kind* from = find_kind(set.component);
    const Kind* to = find_kind(set.to.component);
    if (from == nullptr || !from->built) {
      error(set_at(i, "component"), "this version has no component `" + set.component + "`");
      return;
    }
    if (to == nullptr || !to->built) {
      error(set_at(i, "to.component"), "this version has no component `" + set.to.component + "`");
    } else if (from != to && !(from->pairs && to->pairs)) {
      error(set_at(i, "to.component"),
            "`" + set.component + "` cannot be kept as `" + set.to.component + "`",
            "only `files` and `hdfs` are kept as one another; leave `to.component` out");
    }
    if (set.place.location.empty() || set.place.location.front() != '/') {
      error(set_at(i, "path"), "the path `" + set.place.location + "` is not absolute");
    }
    if (set.fence.kind == Fence::Kind::own_lock && !from->own_lock) {
      error(set_at(i, "fence"), "`" + set.component + "` has no lock of its own",
            "fence its writers with a hook or by their cgroup");
    }
    if (!set.exclude.empty() && !from->exclude) {
      error(set_at(i, "exclude"),
            "of `" + set.component + "` nothing can be left out" +
                (from->of_cluster ? " in this version" : ": it is one whole"));
    }
    if (set.component == "hbase") tables(i);
    if (set.allow_writer_stall && set.component != "sqlite") {
      error(set_at(i, "allow_writer_stall"), "only `sqlite` knows `allow_writer_stall`");
    }
    if (set.place.options.contains("allow_snapshot") && set.component != "hdfs" &&
        set.to.component != "hdfs") {
      error(set_at(i, "allow_snapshot"), "only `hdfs` knows `allow_snapshot`");
    }
    if (!engine_fits(set)) engine(i);
  }

  void engine(std::size_t i) {
    const auto& set = policy_.data_sets[i];
    std::string what = "engines carry only `hdfs` that is kept as `hdfs`, and `hbase`";
    DataSet other = set;
    if (set.engine == DataSet::Engine::distcp) {
      what = "DistCp carries only `hdfs` that is kept as `hdfs`";
      other.engine = DataSet::Engine::exportsnapshot;
    } else if (set.engine == DataSet::Engine::exportsnapshot) {
      what = "ExportSnapshot carries only `hbase`";
      other.engine = DataSet::Engine::distcp;
    }
    const std::string instead =
        engine_fits(other) ? std::string("write `engine: ") + engine_name(other.engine) + "`, or "
                           : "";
    error(set_at(i, "engine"), what + ", not `" + set.component + "` as `" + set.to.component + "`",
          instead + "leave `engine` out: the stream carries it");
  }

  // Tables are written as /NAMESPACE/TABLE, and keep their names in the other cluster.
  void tables(std::size_t i) {
    const auto& set = policy_.data_sets[i];
    const std::string& path = set.place.location;
    const auto inner = path.find('/', 1);
    if (inner == std::string::npos || path.find('/', inner + 1) != std::string::npos) {
      error(set_at(i, "path"), "`" + path + "` names no tables",
            "write /NAMESPACE/TABLE, such as /default/lines or /orders/*");
    }
    const std::string& to = set.to.place.location;
    if (!to.empty() && to != path) {
      error(set_at(i, "to.path"), "the tables of `hbase` keep their names in the other cluster",
            "leave `to.path` out");
    }
  }

  void places() {
    const auto& sets = policy_.data_sets;
    for (std::size_t i = 0; i < sets.size(); ++i) {
      for (std::size_t j = 0; j < sets.size(); ++j) {
        if (i == j || on_other_hosts(sets[i], sets[j])) continue;
        if (space_of(sets[i].component) != space_of(sets[j].component)) continue;
        const auto& inner = sets[i].place.location;
        const auto& outer = sets[j].place.location;
        if (inner == outer && j < i) {
          error(set_at(i, "path"),
                "`" + inner + "` is the place of `" + sets[j].name + "` already");
        } else if (lies_inside(inner, outer) && !leaves_out(sets[j].exclude, inner, outer)) {
          error(set_at(i, "path"),
                "`" + inner + "` lies inside `" + sets[j].name + "` (" + outer + ")",
                "leave it out there: exclude: [\"" + inner.substr(outer.size()) + "*\"]");
        }
      }
    }
  }

  void references() {
    std::map<std::string, std::size_t> index;
    for (std::size_t i = 0; i < policy_.data_sets.size(); ++i) {
      index.emplace(policy_.data_sets[i].name, i);
    }
    for (std::size_t i = 0; i < policy_.data_sets.size(); ++i) {
      for (const auto& name : policy_.data_sets[i].refers_to) {
        if (name == policy_.data_sets[i].name) {
          error(set_at(i, "refers_to"), "`" + name + "` refers to itself");
        } else if (!index.contains(name)) {
          error(set_at(i, "refers_to"), "no data set is named `" + name + "`");
        }
      }
    }
    if (const auto cycle = find_cycle(index); !cycle.empty()) {
      error("data_sets", "`refers_to` runs in a circle: " + cycle,
            "an order needs an end; leave one of these references out");
    }
  }

  // "a, b, a", or nothing. Depth first, without recursion: policies come from users.
  std::string find_cycle(const std::map<std::string, std::size_t>& index) const {
    enum class State { fresh, open, done };
    std::vector<State> states(policy_.data_sets.size(), State::fresh);
    for (std::size_t start = 0; start < states.size(); ++start) {
      if (states[start] != State::fresh) continue;
      std::vector<std::pair<std::size_t, std::size_t>> way{{start, 0}};
      states[start] = State::open;
      while (!way.empty()) {
        auto& [at, next] = way.back();
        const auto& refers = policy_.data_sets[at].refers_to;
        if (next == refers.size()) {
          states[at] = State::done;
          way.pop_back();
          continue;
        }
        const auto found = index.find(refers[next++]);
        if (found == index.end() || found->second == at) continue;  // told above
        const std::size_t to = found->second;
        if (states[to] == State::open) {
          std::string text;
          bool inside = false;
          for (const auto& [step, unused] : way) {
            inside = inside || step == to;
            if (inside) text += policy_.data_sets[step].name + ", ";
          }
          return text + policy_.data_sets[to].name;
        }
        if (states[to] == State::fresh) {
          states[to] = State::open;
          way.emplace_back(to, 0);
        }
      }
    }
    return {};
  }

  void fenced() {
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < policy_.data_sets.size(); ++i) {
      if (policy_.data_sets[i].fence.kind == Fence::Kind::none) open.push_back(i);
    }
    if (open.size() > 1) {
      std::string list;
      for (const std::size_t i : open) {
        list += (list.empty() ? "" : ", ") + policy_.data_sets[i].name;
      }
      error("data_sets",
            "`fenced` needs a fence around all data sets but one; without one are: " + list,
            "give them `fence: {hook: NAME}` or `fence: {cgroup: PATH}`, or choose "
            "`consistency: ordered` or `bounded`");
      return;
    }
    if (open.size() != 1) return;
    const auto& set = policy_.data_sets[open.front()];
    const Kind* kind = find_kind(set.component);
    if (kind == nullptr || kind->one_instant_always) return;
    if (!kind->one_instant) {
      error(set_at(open.front(), "fence"),
            "`" + set.name + "` has no fence, and a pin of `" + set.component +
                "` is not one instant",
            "fence its writers");
    } else {
      warn(set_at(open.front(), "fence"),
           "`" + set.name + "` has no fence: its pin must be one instant, which `" + set.component +
               (kind->of_cluster
                    ? "` can do only where the NameNode captures open files; elsewhere arming is "
                      "refused"
                    : "` can do on btrfs only; elsewhere arming is refused"),
           kind->of_cluster
               ? "fence its writers, or set dfs.namenode.snapshot.capture.openfiles to true"
               : "fence its writers, or keep it on a btrfs subvolume");
    }
  }

  void ordered() {
    const bool any = std::any_of(policy_.data_sets.begin(), policy_.data_sets.end(),
                                 [](const DataSet& set) { return !set.refers_to.empty(); });
    if (!any && policy_.data_sets.size() > 1) {
      warn("consistency", "`ordered` without any `refers_to` orders nothing",
           "say with `refers_to` which data set holds references to which");
    }
  }

  // Different formats that become one kind on the other side lose what told them apart.
  void collapse() {
    std::map<std::string, std::set<std::string>> kinds;
    for (const auto& set : policy_.data_sets) kinds[set.to.component].insert(set.component);
    for (const auto& [to, from] : kinds) {
      if (from.size() > 1) {
        warn("data_sets", "data sets of different components are all kept as `" + to + "`");
      }
    }
  }

  void times() {
    const auto& schedule = policy_.schedule;
    if (policy_.rpo.count > 0) {
      const auto gap = longest_gap(schedule);
      if (gap && *gap > policy_.rpo) {
        warn("rpo",
             "the schedule leaves up to " + to_duration(*gap) + " between moments, more than " +
                 to_duration(policy_.rpo),
             "let it fire more often, or state a longer rpo");
      } else if (!gap && schedule.moments.empty()) {
        warn("rpo", "there is an rpo, but no schedule to keep it");
      }
    }
    if (policy_.drill) drills(*policy_.drill);
    if (!policy_.retention.any()) {
      warn("retention", "nothing is ever pruned: no retention is stated",
           "for example retention: {last: 24, daily: 7, weekly: 4}");
    }
    for (std::size_t i = 0; i < policy_.data_sets.size(); ++i) {
      if (policy_.data_sets[i].fence.timeout >= policy_.deadline) {
        error(set_at(i, "fence.timeout"),
              "the fence's timeout is not below the policy's `deadline`");
      }
    }
  }

  void drills(const Drill& drill) {
    for (std::size_t i = 0; i < policy_.data_sets.size(); ++i) {
      if (policy_.data_sets[i].to.component == "hbase") {
        error("drill",
              "`" + policy_.data_sets[i].name + "` is of hbase, whose points no drill brings up",
              "restore the point to a namespace of HBase and check it there");
      }
    }
    if (drill.max_age.count == 0) {
      warn("drill.max_age", "nobody is told when drills stop succeeding: no max_age is stated",
           "state how old the last good drill may be, more than the schedule's longest gap");
      return;
    }
    const auto gap = longest_gap(drill.schedule);
    if (gap && *gap >= drill.max_age) {
      warn("drill.max_age",
           "the drill's schedule leaves up to " + to_duration(*gap) +
               " between drills, not less than " + to_duration(drill.max_age),
           "let it fire more often, or state a longer max_age");
    }
  }

  // Between moments of a year's worth of cron (at most 500 of them), or `every`.
  static std::optional<Nanos> longest_gap(const Schedule& schedule) {
    if (schedule.every) return schedule.every;
    if (schedule.cron.empty()) return std::nullopt;
    Schedule cron = schedule;
    cron.moments.clear();
    const UtcNanos start{1'767'225'600'000'000'000};  // 2026-01-01T00:00:00Z: any year will do
    auto last = next_moment(cron, start);
    if (!last || !*last) return std::nullopt;
    std::optional<Nanos> longest;
    for (int i = 0; i < 500; ++i) {
      const auto next = next_moment(cron, **last);
      if (!next || !*next) break;
      const Nanos gap = **next - **last;
      if (!longest || gap > *longest) longest = gap;
      if (**next - start > seconds(366 * 86400)) break;
      last = next;
    }
    return longest;
  }

  const Policy& policy_;
  std::vector<Finding> findings_;
};

}  // namespace

bool engine_fits(const DataSet& set) {
  using Engine = DataSet::Engine;
  if (set.engine == Engine::stream) return true;
  if (set.component != set.to.component) return false;
  if (set.component == "hdfs") return set.engine != Engine::exportsnapshot;
  return set.component == "hbase" && set.engine != Engine::distcp;
}

std::vector<Finding> check(const Policy& policy) { return Checker{policy}.run(); }

}  // namespace lockstep::policy
