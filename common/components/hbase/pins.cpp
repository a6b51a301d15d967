#include "common/components/hbase/pins.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/clock/clock.hpp"

namespace lockstep::hbase {

using component::Context;
using component::DataSet;
using component::Estimate;
using component::FenceEnd;
using component::Pinned;
using component::Version;

namespace {

constexpr const char* kMethod = "hbase-snapshot";
constexpr Nanos kPatience = seconds(60);
// Without a fence nobody waits for a pin but the run.
constexpr Nanos kUnfenced = seconds(120);
constexpr Nanos kOneTable = milliseconds(400);
// HDFS has names of up to 255 bytes, and HBase keeps a snapshot under its name.
constexpr std::size_t kLongestName = 255;

Error no_fence() { return make_error(ErrorCode::not_supported, "hbase has no fence of its own"); }

class ArmedTables final : public component::Armed {
 public:
  ArmedTables(const Cluster& cluster, const Clock& clock, DataSet set, std::string run,
              std::vector<TableName> tables)
      : cluster_(cluster),
        clock_(clock),
        set_(std::move(set)),
        run_(std::move(run)),
        tables_(std::move(tables)) {
    // One after the other is what hbase.snapshot.master.threads is by default.
    estimate_.pin = Nanos{kOneTable.count * static_cast<std::int64_t>(tables_.size())};
    estimate_.one_instant = false;
    estimate_.method = kMethod;
  }

  const Estimate& estimate() const override { return estimate_; }
  Result<Interval> raise_fence(Nanos) override { return no_fence(); }
  Result<FenceEnd> lower_fence() override { return no_fence(); }

  Result<Pinned> pin() override {
    const Nanos patience = set_.fenced_from_outside ? set_.fence_timeout : kUnfenced;
    nlohmann::json snapshots = nlohmann::json::array();
    for (const TableName& table : tables_) {
      snapshots.push_back({{"name", snapshot_name(Use::pin, set_.id, run_, table)},
                           {"namespace", table.space},
                           {"table", table.table}});
    }
    const nlohmann::json request{{"op", "snapshot"},
                                 {"snapshots", std::move(snapshots)},
                                 {"flush", true},
                                 {"patience_ms", patience.count / 1'000'000}};
    Pinned pinned;
    pinned.interval.requested = clock_.utc();
    auto made = cluster_.bridge.ask(request, patience + seconds(1));
    pinned.interval.acknowledged = clock_.utc();
    if (!made) {
      // What HBase makes yet is found by find(), which the agent asks before it drops a run.
      (void)drop_version(cluster_, Use::pin, set_.id, run_);
      return to_error(made.error(), ErrorCode::pin_failed, "pin", set_.place.location);
    }
    auto found = list_snapshots(cluster_.bridge, prefix_of(Use::pin, set_.id, run_));
    if (!found || found->size() != tables_.size()) {
      (void)drop_version(cluster_, Use::pin, set_.id, run_);
      if (!found) return found.error();
      return make_error(ErrorCode::pin_failed,
                        "of " + std::to_string(tables_.size()) + " snapshots that were made " +
                            std::to_string(found->size()) + " are found",
                        set_.place.location);
    }
    const Native native{std::move(*found), {}};
    pinned.version = {set_.id, set_.component, run_, to_text(native)};
    pinned.one_instant = false;
    pinned.method = kMethod;
    std::string all;
    for (const TableName& table : tables_) all += (all.empty() ? "" : ", ") + table.text();
    pinned.caveats.push_back("Tables pinned: " + all + ".");
    if (!set_.fenced_from_outside) {
      pinned.caveats.emplace_back(
          "Of a table that was being written each region shows some instant between the pin's "
          "request and its acknowledgement, and not all the same; a row is whole. The skew counts "
          "the pin from its request to its acknowledgement.");
    }
    pinned.caveats.emplace_back("Rights, quotas and replication peers of HBase are not carried.");
    pinned_ = pinned.version;
    return pinned;
  }

  Result<Version> settle(const Context&) override {
    if (!pinned_) return make_error(ErrorCode::pin_lost, "nothing was pinned", set_.place.location);
    return *pinned_;
  }

 private:
  Cluster cluster_;
  const Clock& clock_;
  DataSet set_;
  std::string run_;
  std::vector<TableName> tables_;
  Estimate estimate_;
  std::optional<Version> pinned_;
};

class HBaseSnapshots final : public component::Snapshots {
 public:
  HBaseSnapshots(const Cluster& cluster, const Clock& clock) : cluster_(cluster), clock_(clock) {}

  Result<std::unique_ptr<component::Armed>> arm(const Context& context, const DataSet& set,
                                                UtcNanos) override {
    LOCKSTEP_TRY(const auto tables, tables_of(set));
    for (const TableName& table : tables) {
      if (snapshot_name(Use::point, set.id, context.run, table).size() <= kLongestName) continue;
      return make_error(ErrorCode::arm_refused,
                        "the names of service, data set and table are together too long",
                        table.text());
    }
    LOCKSTEP_TRY(const auto earlier, find(context, set));
    if (earlier) {
      return make_error(ErrorCode::arm_refused, "a pin of this run lies there already",
                        set.place.location, "drop it first");
    }
    auto armed = std::make_unique<ArmedTables>(cluster_, clock_, set, context.run, tables);
    if (set.fenced_from_outside && armed->estimate().pin > set.fence_timeout) {
      return make_error(ErrorCode::fence_too_long,
                        "snapshots of " + std::to_string(tables.size()) + " tables take about " +
                            to_duration(armed->estimate().pin) + ", the fence may stand " +
                            to_duration(set.fence_timeout),
                        set.place.location, "raise the fence's timeout, or name fewer tables");
    }
    // What goes to disk now need not go while writers are held.
    nlohmann::json request{{"op", "flush"}, {"tables", nlohmann::json::array()}};
    for (const TableName& table : tables) {
      request["tables"].push_back({{"namespace", table.space}, {"table", table.table}});
    }
    if (auto done = cluster_.bridge.ask(request, kUnfenced, context.stop); !done) {
      return to_error(done.error(), ErrorCode::arm_refused, "flush the tables", set.place.location);
    }
    return std::unique_ptr<component::Armed>(std::move(armed));
  }

  Result<std::optional<Version>> find(const Context& context, const DataSet& set) override {
    Native native;
    LOCKSTEP_TRY(native.snapshots,
                 list_snapshots(cluster_.bridge, prefix_of(Use::pin, set.id, context.run)));
    if (native.snapshots.empty()) return std::optional<Version>();
    return std::optional<Version>(Version{set.id, set.component, context.run, to_text(native)});
  }

  Result<std::vector<Version>> list(const DataSet& set) override {
    return list_versions(cluster_, Use::pin, set);
  }

  Result<void> drop(const Context&, const Version& version) override {
    LOCKSTEP_CHECK(native_from_text(version.native));
    return drop_version(cluster_, Use::pin, version.id, version.name);
  }

 private:
  Result<std::vector<TableName>> tables_of(const DataSet& set) {
    const std::string& place = set.place.location;
    LOCKSTEP_TRY(const std::string pattern, pattern_of(place));
    auto found = cluster_.bridge.ask({{"op", "tables"}, {"pattern", pattern}}, kPatience);
    if (!found) return to_error(found.error(), ErrorCode::arm_refused, "list the tables", place);
    std::vector<TableName> tables;
    for (const auto& one : *found) {
      tables.push_back({one.value("namespace", ""), one.value("table", "")});
    }
    if (tables.empty())
      return make_error(ErrorCode::set_missing, "no table has such a name", place);
    std::sort(tables.begin(), tables.end());
    return tables;
  }

  Cluster cluster_;
  const Clock& clock_;
};

}  // namespace

std::unique_ptr<component::Snapshots> make_hbase_snapshots(const Cluster& cluster,
                                                           const Clock& clock) {
  return std::make_unique<HBaseSnapshots>(cluster, clock);
}

}  // namespace lockstep::hbase
