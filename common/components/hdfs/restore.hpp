// Giving a version back, or a part of it, at another place of the same HDFS.
//
// It is built beside the place and renamed, so that nobody sees half of it. A directory that has
// snapshots cannot be renamed: into a place that exists the entries are moved one by one, and what
// was there lies in a directory of its own beside it.
#pragma once

#include <string>

#include "common/component/target.hpp"
#include "common/components/hdfs/source.hpp"

namespace lockstep::hdfs {

struct RestoreOrder {
  std::string place;  // absolute
  std::string path;   // of the entry to give back; empty: all
  bool replace = false;
};

Result<component::Target::RestoreResult> restore_tree(WebHdfs& hdfs, HdfsSource& source,
                                                      const component::Context& context,
                                                      const RestoreOrder& order, UtcNanos now);

}  // namespace lockstep::hdfs
