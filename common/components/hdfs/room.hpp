// Room: whether a cluster's HDFS has place for what is to be written below a directory.
//
// Thread rule: the function shares nothing but `hdfs`.
#pragma once

#include <cstdint>
#include <string>

#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hdfs {

// Looks at the DataNodes' space and at the quotas of the directory and of all above it. What cannot
// be asked is no reason: the write itself then tells. Error: no-space.
Result<void> check_room(WebHdfs& hdfs, const std::string& directory, std::uint64_t bytes);

}  // namespace lockstep::hdfs
