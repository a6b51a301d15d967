// How a cluster's HBase is reached (lockstep.yaml, `clusters.<name>.hbase`).
#pragma once

#include <optional>
#include <string>

#include "common/components/hdfs/settings.hpp"

namespace lockstep::hbase {

struct Settings {
  std::string classpath;  // HBase's configuration and classes: "/etc/hbase/conf:/opt/hbase/lib/*"
  std::string java = "java";       // of a JDK: the helper program is run from its source
  std::string user = "hbase";      // as whom the agents act, in HBase and in its directory of HDFS
  hdfs::Settings hdfs;             // the HDFS on which HBase lies
  std::string rootdir = "/hbase";  // HBase's hbase.rootdir there; only the engine asks for it
  std::optional<hdfs::JobSettings> exportsnapshot = {};
};

// How its HDFS is reached: what lies in HBase's directory is HBase's.
inline hdfs::Settings hdfs_of(const Settings& settings) {
  hdfs::Settings out = settings.hdfs;
  out.user = settings.user;
  return out;
}

}  // namespace lockstep::hbase
