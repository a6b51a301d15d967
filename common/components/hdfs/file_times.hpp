// File times: modification times of files that were only set (SETTIMES), which no snapshot
// difference of a NameNode tells: INodeFile.metadataEquals compares owner, mode, ACL and attributes
// alone (seen on 3.4.2).
#pragma once

#include <string>

#include "common/components/hdfs/crew.hpp"
#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hdfs {

// Gives the files of `directory` the times that they have in its snapshot `from`, of which it holds
// the names and the content already. Lists both: a request for each thousand names. Error:
// target-write.
Result<void> bring_back_times(WebHdfs& hdfs, Crew& crew, const std::string& directory,
                              const std::string& from);

}  // namespace lockstep::hdfs
