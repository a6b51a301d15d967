// How a cluster's HDFS is reached (lockstep.yaml, `clusters.<name>.hdfs`).
#pragma once

#include <string>
#include <vector>

#include "common/clock/moment.hpp"

namespace lockstep::hdfs {

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
};

}  // namespace lockstep::hdfs
