// Names of the snapshots that are ours, and finding them.
//
//   <directory>/.snapshot/lockstep-pin.<service>.<set>.<run>     what the primary pinned
//   <directory>/.snapshot/lockstep-point.<service>.<set>.<run>   what the secondary keeps
//   <directory>/.snapshot/lockstep-before.<service>.<set>.<run>  what is in neither (aside.hpp)
// Snapshots of other names are other people's and never touched.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/components/hdfs/native.hpp"
#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hdfs {

enum class Use { pin, point, aside };

std::string snapshot_name(Use use, const component::SetId& id, const std::string& run);
// The run of a snapshot's name; nothing where it is not of this use and set.
std::optional<std::string> run_of(Use use, const component::SetId& id, const std::string& name);

// Of a snapshot of ours.
Use use_of(const std::string& name);

// The version of that run. A directory that is not there has none.
Result<std::optional<component::Version>> find_version(WebHdfs& hdfs, Use use,
                                                       const component::DataSet& set,
                                                       const std::string& run);
Result<std::vector<component::Version>> list_versions(WebHdfs& hdfs, Use use,
                                                      const component::DataSet& set);

// The newest pin or point of the set, which is how we left its directory, or found it.
struct Newest {
  Use use = Use::point;
  std::string name;
};
Result<std::optional<Newest>> newest_version(WebHdfs& hdfs, const component::DataSet& set);

// The snapshot that `version` names, checked: of this use, set and run, and still the same one.
// Errors: version-missing, `side`.
Result<Native> open_version(WebHdfs& hdfs, Use use, const component::Version& version,
                            ErrorCode side);

// Removes the version's snapshot; of one that is gone, or is another by now: success. Error:
// version-missing where the version does not name a snapshot of its use, set and run.
Result<void> drop_version(WebHdfs& hdfs, Use use, const component::Version& version);

// Lets snapshots be made of `directory`, where `allow` says so. Error: arm-refused with the command
// to give, `side`.
Result<void> need_snapshots(WebHdfs& hdfs, const Status& status, const std::string& directory,
                            const component::Place& place, ErrorCode refused, ErrorCode side);

}  // namespace lockstep::hdfs
