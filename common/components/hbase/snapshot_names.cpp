#include "common/components/hbase/snapshot_names.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/components/hdfs/listing.hpp"

namespace lockstep::hbase {

using component::DataSet;
using component::SetId;
using component::Version;

namespace {

constexpr Nanos kPatience = seconds(60);

const char* word(Use use) {
  switch (use) {
    case Use::pin:
      return "lockstep-pin.";
    case Use::point:
      return "lockstep-point.";
    case Use::carried:
      break;
  }
  return "lockstep-carried.";
}

std::string run_of(const std::string& name, const std::string& prefix) {
  return name.substr(prefix.size(), name.find('.', prefix.size()) - prefix.size());
}

std::string tail(const SetId& id, const std::string& run, const TableName& table) {
  return id.service + "." + id.set + "." + run + "." + table.space + "." + table.table;
}

Result<std::string> home(Bridge& bridge) {
  auto root = bridge.root();
  if (!root) return to_error(root.error(), ErrorCode::io, "ask HBase for its directory", "");
  return hdfs::join(*root, ".lockstep");
}

// What a job left half-way lies where HBase's own unfinished snapshots do. As paths.
Result<std::vector<std::string>> unfinished(const Cluster& cluster, const std::string& prefix) {
  auto root = cluster.bridge.root();
  if (!root) return to_error(root.error(), ErrorCode::io, "ask HBase for its directory", "");
  const std::string working = snapshot_directory(*root, ".tmp");
  auto names = hdfs::list_names(cluster.files, working, prefix);
  if (!names) return hdfs::to_error(names.error(), ErrorCode::io, "list", working);
  for (std::string& name : *names) name = hdfs::join(working, name);
  return std::move(*names);
}

}  // namespace

std::string prefix_of(Use use, const SetId& id, const std::string& run) {
  return word(use) + id.service + "." + id.set + "." + (run.empty() ? "" : run + ".");
}

std::string snapshot_name(Use use, const SetId& id, const std::string& run,
                          const TableName& table) {
  return word(use) + tail(id, run, table);
}

std::string before_name(const SetId& id, const std::string& run, const TableName& table) {
  return "lockstep-before." + tail(id, run, table);
}

Result<std::string> staging_path(const Cluster& cluster, const SetId& id, const std::string& run,
                                 int attempt) {
  LOCKSTEP_TRY(const std::string directory, home(cluster.bridge));
  return hdfs::join(directory,
                    id.service + "." + id.set + "." + run + "." + std::to_string(attempt));
}

Result<std::vector<std::string>> stagings(const Cluster& cluster, const SetId& id,
                                          const std::string& run) {
  LOCKSTEP_TRY(const std::string directory, home(cluster.bridge));
  const std::string prefix = id.service + "." + id.set + "." + (run.empty() ? "" : run + ".");
  auto names = hdfs::list_names(cluster.files, directory, prefix);
  if (!names) {
    return hdfs::to_error(names.error(), ErrorCode::io, "list the stagings", directory);
  }
  for (std::string& name : *names) name = hdfs::join(directory, name);
  return std::move(*names);
}

Result<std::vector<Snapshot>> list_snapshots(Bridge& bridge, const std::string& prefix) {
  auto answer = bridge.ask({{"op", "list"}, {"prefix", prefix}}, kPatience);
  if (!answer) return to_error(answer.error(), ErrorCode::io, "list the snapshots", prefix);
  std::vector<Snapshot> found;
  for (const auto& one : *answer) {
    found.push_back({one.value("name", ""),
                     {one.value("namespace", ""), one.value("table", "")},
                     one.value("created_ms", std::int64_t{0})});
  }
  std::sort(found.begin(), found.end(),
            [](const Snapshot& a, const Snapshot& b) { return a.table < b.table; });
  return found;
}

Result<void> delete_snapshots(Bridge& bridge, const std::vector<Snapshot>& snapshots) {
  if (snapshots.empty()) return {};
  nlohmann::json names = nlohmann::json::array();
  for (const Snapshot& one : snapshots) names.push_back(one.name);
  auto answer = bridge.ask({{"op", "delete"}, {"names", names}}, kPatience);
  if (!answer) {
    return to_error(answer.error(), ErrorCode::io, "delete snapshots", snapshots.front().name);
  }
  return {};
}

Result<std::vector<Version>> list_versions(const Cluster& cluster, Use use, const DataSet& set) {
  const std::string prefix = prefix_of(use, set.id);
  LOCKSTEP_TRY(const auto snapshots, list_snapshots(cluster.bridge, prefix));
  std::map<std::string, Native> runs;
  for (const Snapshot& one : snapshots) {
    runs[run_of(one.name, prefix)].snapshots.push_back(one);
  }
  if (use == Use::point) {
    LOCKSTEP_TRY(const auto staged, stagings(cluster, set.id, {}));
    for (const std::string& path : staged) {
      const std::string name = path.substr(path.rfind('/') + 1);
      const std::string rest = name.substr(set.id.service.size() + set.id.set.size() + 2);
      runs[rest.substr(0, rest.find('.'))].staging = path;
    }
    // Of a run that has nothing else: its staging is gone, and this is not.
    const std::string brought = prefix_of(Use::carried, set.id);
    LOCKSTEP_TRY(const auto carried, list_snapshots(cluster.bridge, brought));
    LOCKSTEP_TRY(std::vector<std::string> names, unfinished(cluster, brought));
    for (const Snapshot& one : carried) names.push_back(one.name);
    for (const std::string& name : names) {
      Native& native = runs[run_of(name.substr(name.rfind('/') + 1), brought)];
      if (native.snapshots.empty() && native.staging.empty()) native.staging = name;
    }
  }
  std::vector<Version> versions;
  for (const auto& [run, native] : runs) {
    versions.push_back({set.id, set.component, run, to_text(native)});
  }
  return versions;
}

Result<Native> open_version(Bridge& bridge, const Version& version, ErrorCode side) {
  LOCKSTEP_TRY(Native native, native_from_text(version.native));
  const std::string where = version.id.service + "/" + version.id.set + " " + version.name;
  if (!native.staging.empty() || native.snapshots.empty()) {
    return make_error(ErrorCode::version_missing, "this is a staging, no version", where);
  }
  const std::string& first = native.snapshots.front().name;
  const Use use = first.starts_with(word(Use::pin)) ? Use::pin : Use::point;
  const std::string prefix = prefix_of(use, version.id, version.name);
  auto found = list_snapshots(bridge, prefix);
  if (!found) {
    Error error = std::move(found).error();
    if (error.code == ErrorCode::io) error.code = side;
    return error;
  }
  for (const Snapshot& one : native.snapshots) {
    if (!one.name.starts_with(prefix)) {
      return make_error(ErrorCode::version_missing, "this is no version of the set", one.name);
    }
    if (std::find(found->begin(), found->end(), one) == found->end()) {
      return make_error(ErrorCode::version_missing,
                        "the snapshot is gone, or another of that name was made", one.name);
    }
  }
  return native;
}

std::string snapshot_directory(const std::string& root, const std::string& name) {
  return hdfs::join(root, ".hbase-snapshot/" + name);
}

Result<void> drop_carried(const Cluster& cluster, const SetId& id, const std::string& run) {
  const std::string prefix = prefix_of(Use::carried, id, run);
  LOCKSTEP_TRY(const auto whole, list_snapshots(cluster.bridge, prefix));
  LOCKSTEP_CHECK(delete_snapshots(cluster.bridge, whole));
  LOCKSTEP_TRY(const auto parts, unfinished(cluster, prefix));
  for (const std::string& path : parts) {
    if (auto removed = cluster.files.remove(path); !removed) {
      return hdfs::to_error(removed.error(), ErrorCode::io, "remove", path);
    }
  }
  return {};
}

Result<void> drop_version(const Cluster& cluster, Use use, const SetId& id,
                          const std::string& run) {
  // The staging goes last: while it is there nobody takes what is left for a whole version.
  LOCKSTEP_TRY(const auto found, list_snapshots(cluster.bridge, prefix_of(use, id, run)));
  LOCKSTEP_CHECK(delete_snapshots(cluster.bridge, found));
  if (use == Use::pin) return {};
  LOCKSTEP_TRY(const auto staged, stagings(cluster, id, run));
  for (const std::string& path : staged) {
    if (auto removed = cluster.files.remove(path); !removed) {
      return hdfs::to_error(removed.error(), ErrorCode::io, "remove the staging", path);
    }
  }
  return {};
}

}  // namespace lockstep::hbase
