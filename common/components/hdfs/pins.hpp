// Pins: an HDFS snapshot of the data set's directory.
#pragma once

#include <memory>

#include "common/component/snapshots.hpp"
#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hdfs {

std::unique_ptr<component::Snapshots> make_hdfs_snapshots(WebHdfs& hdfs, const Clock& clock);

}  // namespace lockstep::hdfs
