// What is said to DistCp. Pure. Source: Hadoop's DistCp guide.
#pragma once

#include <string>
#include <vector>

#include "common/components/hdfs/job_words.hpp"

namespace lockstep::hdfs {

// What DistCp would take for a pattern.
bool looks_like_a_pattern(const std::string& path);

// The program and its arguments. It ends once the job is submitted. `from` and `to` are whole
// addresses ("hdfs://nn:8020/data/.snapshot/x").
std::vector<std::string> distcp_command(const JobSettings& settings, const JobTags& tags,
                                        const std::string& name, const std::string& from,
                                        const std::string& to);

}  // namespace lockstep::hdfs
