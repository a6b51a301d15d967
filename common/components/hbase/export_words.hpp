// What is said to ExportSnapshot. Pure. Source: HBase's reference guide, "Export a Snapshot to
// Another Cluster", and what was found by trying 2.6.1 (docs/hadoop.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/components/hdfs/job_words.hpp"

namespace lockstep::hbase {

// One table's export.
struct Export {
  std::string tags;              // of its job, separated by ','
  std::string name;              // of its job
  std::string snapshot;          // in `from`
  std::string target;            // what it is named in `to`
  std::string from;              // "hdfs://nn:8020/hbase"
  std::string to;                // the same of the other cluster
  std::uint64_t block_size = 0;  // of the HFiles
  std::string directory;         // absolute: there a local job may leave what it likes
};

// The program and its arguments. It ends when its job has ended and the snapshot is in its place.
// Done again it copies what is missing, and puts the snapshot in its place anew.
std::vector<std::string> export_command(const hdfs::JobSettings& settings, const Export& wanted);

}  // namespace lockstep::hbase
