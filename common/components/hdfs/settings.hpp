// How a cluster's HDFS is reached (lockstep.yaml, `clusters.<name>.hdfs`).
#pragma once

#include <string>

#include "common/clock/moment.hpp"

namespace lockstep::hdfs {

struct Settings {
  std::string namenode;  // "http://host:9870", without a slash at its end
  std::string user;      // as whom the agents act; needs the superuser's rights to keep owners
  int connections = 8;   // requests and files in flight, 1 to 64
  // For how long what may come right by itself is tried again: a NameNode that restarts, stands by
  // or is in safe mode, a connection that broke.
  Nanos patience = seconds(30);
};

}  // namespace lockstep::hdfs
