// A cluster's Hadoop in lockstep.yaml: `hdfs` and `hbase` (docs/components/hdfs.md, hbase.md).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/clock/moment.hpp"

namespace lockstep::config {

class Value;

// How the agents of a cluster reach its HDFS.
struct Hdfs {
  // "http://host:port" or "https://host:port", of the NameNodes' web servers, at least one; several
  // are of one HDFS, and all alike.
  std::vector<std::string> namenodes;
  std::string user = "hdfs";
  int connections = 8;           // requests and files on their way at once
  Nanos patience = seconds(30);  // for how long what may come right by itself is tried again
  std::string ca;  // of https: the file of the certificates that may sign; empty: the system's
};

// How the agents of a cluster reach its HBase, which lies on its HDFS.
struct HBase {
  std::string classpath;  // its configuration and its classes: "/etc/hbase/conf:/opt/hbase/lib/*"
  std::string user = "hbase";
  std::string java = "java";  // a program; looked up in PATH where it has no '/'
};

// Nothing where the value is no map, which is then reported. `absolute` makes a path of the file's.
std::optional<Hdfs> read_hdfs(
    const Value& value, const std::function<std::string(const std::optional<Value>&)>& absolute);
std::optional<HBase> read_hbase(const Value& value);

}  // namespace lockstep::config
