// How a cluster's HDFS is reached (lockstep.yaml, `clusters.<name>.hdfs`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock/moment.hpp"

namespace lockstep::hdfs {

// How jobs of DistCp or ExportSnapshot are run on a cluster's YARN (`clusters.<name>.hdfs.distcp`,
// `hbase.exportsnapshot`).
struct JobSettings {
  std::string classpath;  // Hadoop's configuration and classes
  // "http://rm:8088"; empty: in the program that is started, without YARN (ExportSnapshot alone).
  std::vector<std::string> resourcemanagers;
  std::string java;  // a program
  std::string queue;
  int maps = 20;           // at most so many at once
  int bandwidth = 100;     // MB a second, of each of them
  std::uint64_t from = 0;  // bytes; fewer are the stream's, where the engine may be chosen
};

struct Settings {
  // "http://host:9870" or "https://host:9871", all alike, without a slash at the end; at least one.
  // Several are one HDFS's, of which one is active.
  std::vector<std::string> namenodes;
  std::string user;     // as whom the agents act; needs the superuser's rights to keep owners
  int connections = 8;  // requests and files in flight, 1 to 64
  // For how long what may come right by itself is tried again: a NameNode that restarts, stands by
  // or is in safe mode, a connection that broke.
  Nanos patience = seconds(30);
  // Of https:// addresses: the file of the certificates (PEM) that may sign; empty: the system's.
  std::string ca;
  std::string filesystem = {};  // "hdfs://nn:8020", as Hadoop's own programs name it; empty: unsaid
  std::optional<JobSettings> distcp = {};
};

}  // namespace lockstep::hdfs
