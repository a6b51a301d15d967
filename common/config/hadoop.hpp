// A cluster's Hadoop in lockstep.yaml: `hdfs` and `hbase` (docs/components/hdfs.md, hbase.md).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/clock/moment.hpp"

namespace lockstep::config {

class Map;
class Value;

// How jobs of DistCp or ExportSnapshot are run on a cluster's YARN.
struct HadoopJobs {
  std::string classpath;  // Hadoop's configuration and classes, as `hadoop classpath` tells them
  // "http://host:port" or "https://host:port", of the ResourceManagers' web servers, all alike;
  // empty: in the program that is started, without YARN (ExportSnapshot alone).
  std::vector<std::string> resourcemanagers;
  std::string java = "java";  // a program; looked up in PATH where it has no '/'
  std::string queue = "default";
  int maps = 20;                                  // at most so many at once
  int bandwidth = 100;                            // MB a second, of each of them
  std::uint64_t from = std::uint64_t{64} << 30U;  // bytes: `engine: auto` streams what has fewer
};

// How the agents of a cluster reach its HDFS.
struct Hdfs {
  // "http://host:port" or "https://host:port", of the NameNodes' web servers, at least one; several
  // are of one HDFS, and all alike.
  std::vector<std::string> namenodes;
  std::string user = "hdfs";
  int connections = 8;           // requests and files on their way at once
  Nanos patience = seconds(30);  // for how long what may come right by itself is tried again
  std::string ca;  // of https: the file of the certificates that may sign; empty: the system's
  // "hdfs://host:port" or "hdfs://nameservice": as Hadoop's own programs name it; empty: not said.
  std::string filesystem;
  std::optional<HadoopJobs> distcp;  // nothing: none is run here; else there is a `filesystem`
};

// How the agents of a cluster reach its HBase, which lies on its HDFS.
struct HBase {
  std::string classpath;  // its configuration and its classes: "/etc/hbase/conf:/opt/hbase/lib/*"
  std::string user = "hbase";
  std::string java = "java";       // a program; looked up in PATH where it has no '/'
  std::string rootdir = "/hbase";  // its hbase.rootdir, a path there; only the engine asks for it
  std::optional<HadoopJobs> exportsnapshot;  // as `Hdfs::distcp`
};

struct Hadoop {
  std::optional<Hdfs> hdfs;
  std::optional<HBase> hbase;  // beside `hdfs` only
};

// Of what `cluster` does not have, nothing; nor of what is no map, which is then reported.
// `absolute` makes a path of the file's.
Hadoop read_hadoop(Map& cluster,
                   const std::function<std::string(const std::optional<Value>&)>& absolute);

}  // namespace lockstep::config
