#include "common/components/hdfs/snapshot_names.hpp"

#include <utility>

namespace lockstep::hdfs {

using component::DataSet;
using component::SetId;
using component::Version;

namespace {

const char* word_of(Use use) {
  switch (use) {
    case Use::pin:
      return "lockstep-pin.";
    case Use::point:
      return "lockstep-point.";
    case Use::aside:
      return "lockstep-before.";
  }
  return "";
}

std::string prefix_of(Use use, const SetId& id) {
  return std::string(word_of(use)) + id.service + "." + id.set + ".";
}

// The directory is not there, or not snapshottable, or has no such snapshot.
bool is_none(const Failure& failure) {
  return failure.trouble == Trouble::missing || failure.trouble == Trouble::snapshot;
}

Version version_of(const DataSet& set, const std::string& run, const std::string& name,
                   const Status& status) {
  Native native;
  native.directory = set.place.location;
  native.snapshot = name;
  native.inode = status.file_id;
  native.made_ms = status.modified_ms;
  return {set.id, set.component, run, to_text(native)};
}

}  // namespace

std::string snapshot_name(Use use, const SetId& id, const std::string& run) {
  return prefix_of(use, id) + run;
}

std::optional<std::string> run_of(Use use, const SetId& id, const std::string& name) {
  const std::string prefix = prefix_of(use, id);
  if (!name.starts_with(prefix) || name.size() == prefix.size()) return std::nullopt;
  return name.substr(prefix.size());
}

Use use_of(const std::string& name) {
  for (const Use use : {Use::pin, Use::aside}) {
    if (name.starts_with(word_of(use))) return use;
  }
  return Use::point;
}

Result<std::optional<Version>> find_version(WebHdfs& hdfs, Use use, const DataSet& set,
                                            const std::string& run) {
  const std::string name = snapshot_name(use, set.id, run);
  const std::string path = join(set.place.location, ".snapshot/" + name);
  auto status = hdfs.status(path);
  if (status) return std::optional<Version>(version_of(set, run, name, *status));
  if (is_none(status.error())) return std::optional<Version>{};
  return to_error(status.error(), ErrorCode::io, "look at the snapshot", path);
}

Result<std::vector<Version>> list_versions(WebHdfs& hdfs, Use use, const DataSet& set) {
  std::vector<Version> versions;
  const std::string path = join(set.place.location, ".snapshot");
  std::string after;
  for (;;) {
    auto page = hdfs.list(path, after);
    if (!page) {
      if (is_none(page.error())) return versions;
      return to_error(page.error(), ErrorCode::io, "list the snapshots", path);
    }
    for (const Status& status : page->statuses) {
      const auto run = run_of(use, set.id, status.name);
      if (run) versions.push_back(version_of(set, *run, status.name, status));
    }
    if (!page->more || page->statuses.empty()) return versions;
    after = page->statuses.back().name;
  }
}

Result<std::optional<Newest>> newest_version(WebHdfs& hdfs, const DataSet& set) {
  std::optional<Newest> newest;
  std::string newest_run;
  for (const Use use : {Use::point, Use::pin}) {
    LOCKSTEP_TRY(const std::vector<Version> versions, list_versions(hdfs, use, set));
    for (const Version& version : versions) {  // runs are UUIDv7: names sort by time
      if (version.name <= newest_run) continue;
      newest_run = version.name;
      newest = Newest{use, snapshot_name(use, set.id, newest_run)};
    }
  }
  return newest;
}

Result<Native> open_version(WebHdfs& hdfs, Use use, const Version& version, ErrorCode side) {
  LOCKSTEP_TRY(Native native, native_from_text(version.native));
  const auto gone = [&](const char* what) {
    return make_error(ErrorCode::version_missing, what, native.root());
  };
  if (native.snapshot != snapshot_name(use, version.id, version.name)) {
    return gone("this is no version of the set");
  }
  auto status = hdfs.status(native.root());
  if (!status) {
    if (is_none(status.error())) return gone("the snapshot is gone");
    return to_error(status.error(), side, "look at the snapshot", native.root());
  }
  if (status->file_id != native.inode || status->modified_ms != native.made_ms) {
    return gone("a snapshot of that name was made by somebody else");
  }
  return native;
}

Result<void> drop_version(WebHdfs& hdfs, Use use, const Version& version) {
  auto native = open_version(hdfs, use, version, ErrorCode::io);
  if (!native) {
    LOCKSTEP_TRY(const Native named, native_from_text(version.native));
    if (named.snapshot != snapshot_name(use, version.id, version.name)) return native.error();
    if (native.error().code == ErrorCode::version_missing) return {};
    return std::move(native).error();
  }
  auto removed = hdfs.remove_snapshot(native->directory, native->snapshot);
  if (removed) return {};
  return to_error(removed.error(), ErrorCode::io, "remove the snapshot", native->root());
}

Result<void> need_snapshots(WebHdfs& hdfs, const Status& status, const std::string& directory,
                            const component::Place& place, ErrorCode refused, ErrorCode side) {
  if (status.snapshottable) return {};
  const auto allow = place.options.find("allow_snapshot");
  if (allow == place.options.end() || allow->second != "true") {
    return make_error(refused, "snapshots of the directory are not allowed", directory,
                      "as a superuser of HDFS: hdfs dfsadmin -allowSnapshot " + directory +
                          " (or write `allow_snapshot: true` for the data set)");
  }
  auto allowed = hdfs.allow_snapshots(directory);
  if (allowed) return {};
  return to_error(allowed.error(), side, "allow snapshots of the directory", directory);
}

}  // namespace lockstep::hdfs
