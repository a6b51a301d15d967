// Names of the snapshots that are ours, and finding them.
//
//   lockstep-pin.<service>.<set>.<run>.<namespace>.<table>     what the primary pinned
//   lockstep-point.<service>.<set>.<run>.<namespace>.<table>   what the secondary keeps
//   lockstep-carried.<service>.<set>.<run>.<namespace>.<table> what ExportSnapshot brings there
//   lockstep-before.<service>.<set>.<run>.<namespace>.<table>  what a promotion found
// Snapshots of other names are other people's and never touched. The snapshots of one run are one
// version. Of points, those whose staging is still there are not whole:
//   <hbase.rootdir>/.lockstep/<service>.<set>.<run>.<attempt>
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/components/hbase/bridge.hpp"
#include "common/components/hbase/native.hpp"
#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hbase {

enum class Use { pin, point, carried };

// Of all versions of the set; with `run`, of that one.
std::string prefix_of(Use use, const component::SetId& id, const std::string& run = {});
std::string snapshot_name(Use use, const component::SetId& id, const std::string& run,
                          const TableName& table);
std::string before_name(const component::SetId& id, const std::string& run, const TableName& table);

// What both halves work with.
struct Cluster {
  Bridge& bridge;
  hdfs::WebHdfs& files;
};

// Names of the stagings of the set (with `run`: of that run), as paths.
Result<std::vector<std::string>> stagings(const Cluster& cluster, const component::SetId& id,
                                          const std::string& run);
// A staging's path.
Result<std::string> staging_path(const Cluster& cluster, const component::SetId& id,
                                 const std::string& run, int attempt);

Result<std::vector<Snapshot>> list_snapshots(Bridge& bridge, const std::string& prefix);
Result<void> delete_snapshots(Bridge& bridge, const std::vector<Snapshot>& snapshots);

// Every version of the set that has a snapshot or (points) a staging or something carried.
Result<std::vector<component::Version>> list_versions(const Cluster& cluster, Use use,
                                                      const component::DataSet& set);

// The snapshots that `version` names, checked: of its set and run, all there, and still the same.
// Errors: version-missing, `side`.
Result<Native> open_version(Bridge& bridge, const component::Version& version, ErrorCode side);

// Where HBase keeps a snapshot; `root` is HBase's directory.
std::string snapshot_directory(const std::string& root, const std::string& name);

// Removes what ExportSnapshot brought for the run, whole or not: the HFiles of it that no point
// names are the cleaner's then.
Result<void> drop_carried(const Cluster& cluster, const component::SetId& id,
                          const std::string& run);

// Removes all snapshots, and (points) stagings, of the version's set and run.
Result<void> drop_version(const Cluster& cluster, Use use, const component::SetId& id,
                          const std::string& run);

}  // namespace lockstep::hbase
