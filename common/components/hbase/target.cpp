#include "common/components/hbase/target.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/components/hbase/contents.hpp"
#include "common/components/hbase/staging.hpp"
#include "common/components/hdfs/room.hpp"

namespace lockstep::hbase {

using component::Context;
using component::DataSet;
using component::Version;

namespace {

constexpr Nanos kPatience = seconds(600);

// How much a version holds, for those who gave it back.
Result<component::Target::RestoreResult> amount(const Cluster& cluster, const Native& native,
                                                const std::string& run) {
  component::Target::RestoreResult done;
  done.entries = native.snapshots.size();
  LOCKSTEP_TRY(const auto contents, read_contents(cluster, native, run, ErrorCode::source_read));
  for (const Item& item : *contents) done.bytes += item.entry.size;
  return done;
}

nlohmann::json about(const char* op, const Snapshot& one, const TableName& table) {
  return {{"op", op}, {"name", one.name}, {"namespace", table.space}, {"table", table.table}};
}

}  // namespace

Result<void> HBaseTarget::check(const DataSet& target, std::uint64_t bytes_expected) {
  LOCKSTEP_CHECK(pattern_of(target.place.location));
  auto root = cluster_.bridge.root();
  if (!root) {
    return to_error(root.error(), ErrorCode::target_write, "reach HBase", target.place.location);
  }
  auto status = cluster_.files.status(*root);
  if (!status) {
    return hdfs::to_error(status.error(), ErrorCode::target_write, "look at HBase's directory",
                          *root);
  }
  if (status->encrypted || status->erasure_coded) {
    return make_error(ErrorCode::not_supported,
                      "HBase in an encryption zone or an erasure-coded directory is not carried",
                      *root);
  }
  return hdfs::check_room(cluster_.files, *root, bytes_expected);
}

Result<std::unique_ptr<component::Staging>> HBaseTarget::stage(
    const Context& context, const component::StageRequest& request) {
  const DataSet& target = request.target;
  LOCKSTEP_TRY(auto sealed, find(context, target));
  if (request.resume && !sealed) {
    return make_error(ErrorCode::resume_refused,
                      "in HBase an attempt whose process ended begins anew", target.place.location);
  }
  if (request.base) {
    LOCKSTEP_CHECK(open_version(cluster_.bridge, *request.base, ErrorCode::target_write));
  }
  LOCKSTEP_TRY(const std::string directory,
               staging_path(cluster_, target.id, context.run, context.attempt));
  auto root = cluster_.bridge.root();
  if (!root) return to_error(root.error(), ErrorCode::target_write, "reach HBase", directory);
  if (!sealed) {
    LOCKSTEP_CHECK(drop_version(cluster_, Use::point, target.id, context.run));
    // Made before anything else: what is published while it is there is no version yet.
    if (auto made = cluster_.files.make_directory(directory); !made) {
      return hdfs::to_error(made.error(), ErrorCode::target_write, "make the staging", directory);
    }
  }
  return std::unique_ptr<component::Staging>(std::make_unique<HBaseStaging>(
      cluster_, target, context, directory, hdfs::join(*root, "archive"), std::move(sealed)));
}

Result<std::optional<Version>> HBaseTarget::find(const Context& context, const DataSet& target) {
  LOCKSTEP_TRY(const auto staged, stagings(cluster_, target.id, context.run));
  if (!staged.empty()) return std::optional<Version>();
  Native native;
  LOCKSTEP_TRY(native.snapshots,
               list_snapshots(cluster_.bridge, prefix_of(Use::point, target.id, context.run)));
  if (native.snapshots.empty()) return std::optional<Version>();
  return std::optional<Version>(Version{target.id, target.component, context.run, to_text(native)});
}

Result<std::vector<Version>> HBaseTarget::list(const DataSet& target) {
  return list_versions(cluster_, Use::point, target);
}

Result<void> HBaseTarget::check_version(const Version& version) {
  LOCKSTEP_TRY(const Native native, open_version(cluster_.bridge, version, ErrorCode::source_read));
  for (const Snapshot& one : native.snapshots) {
    auto looked = cluster_.bridge.ask({{"op", "verify"}, {"name", one.name}}, kPatience);
    if (!looked) {
      return to_error(looked.error(), ErrorCode::point_damaged, "find the snapshot whole",
                      one.name);
    }
  }
  return {};
}

Result<component::Target::RestoreResult> HBaseTarget::restore(const Context& context,
                                                              const Version& version,
                                                              const component::Place& place,
                                                              const std::string& path, bool) {
  if (!path.empty()) {
    return make_error(ErrorCode::not_supported, "a set of tables is restored as a whole", path,
                      "leave the path out");
  }
  LOCKSTEP_TRY(const Native native, open_version(cluster_.bridge, version, ErrorCode::source_read));
  std::vector<TableName> names;
  for (const Snapshot& one : native.snapshots) {
    LOCKSTEP_TRY(TableName name, restored_name(place.location, one.table));
    names.push_back(std::move(name));
  }
  LOCKSTEP_TRY(RestoreResult done, amount(cluster_, native, version.name));
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto cloned =
        cluster_.bridge.ask(about("clone", native.snapshots[i], names[i]), kPatience, context.stop);
    if (!cloned) {
      const bool there = cloned.error().trouble == Trouble::exists;
      return to_error(cloned.error(), there ? ErrorCode::place_not_empty : ErrorCode::target_write,
                      "clone the snapshot", names[i].text());
    }
  }
  return done;
}

Result<void> HBaseTarget::drop(const Context&, const Version& version) {
  LOCKSTEP_CHECK(native_from_text(version.native));
  LOCKSTEP_CHECK(drop_version(cluster_, Use::point, version.id, version.name));
  return drop_carried(cluster_, version.id, version.name);
}

// Tables take the names that they have on the primary. What a table of that name held is kept as a
// snapshot before the point's is restored over it.
Result<component::Target::RestoreResult> HBaseTarget::make_live(const Context& context,
                                                                const Version& version,
                                                                const component::Place& place) {
  LOCKSTEP_CHECK(pattern_of(place.location));
  LOCKSTEP_TRY(const Native native,
               open_version(cluster_.bridge, version, ErrorCode::target_write));
  LOCKSTEP_TRY(RestoreResult done, amount(cluster_, native, version.name));
  for (const Snapshot& one : native.snapshots) {
    nlohmann::json request = about("restore", one, one.table);
    request["before"] = before_name(version.id, version.name, one.table);
    auto restored = cluster_.bridge.ask(request, kPatience, context.stop);
    if (!restored) {
      return to_error(restored.error(), ErrorCode::target_write, "make the table live",
                      one.table.text());
    }
    if (restored->contains("before")) {
      done.moved_aside +=
          (done.moved_aside.empty() ? "" : ", ") + (*restored)["before"].get<std::string>();
    }
  }
  return done;
}

}  // namespace lockstep::hbase
