#include "common/components/hbase/export_words.hpp"

namespace lockstep::hbase {

std::vector<std::string> export_command(const hdfs::JobSettings& settings, const Export& wanted) {
  std::vector<std::string> out = hdfs::job_command(
      settings, "org.apache.hadoop.hbase.snapshot.ExportSnapshot", wanted.tags, wanted.name);
  // HDFS's checksums can be compared where blocks are of the same size: by them it knows which
  // HFiles are there already, and whether it copied well.
  if (wanted.block_size > 0) {
    out.push_back(hdfs::property("dfs.blocksize", std::to_string(wanted.block_size)));
  }
  // Otherwise as much as a block, for each file on its way.
  out.push_back(hdfs::property("snapshot.export.buffer.size", std::to_string(1U << 20U)));
  if (settings.resourcemanagers.empty()) {
    out.push_back(hdfs::property("mapreduce.jobtracker.staging.root.dir", wanted.directory));
    out.push_back(hdfs::property("mapreduce.cluster.local.dir", wanted.directory));
  }
  out.insert(out.end(),
             {"-snapshot", wanted.snapshot, "-target", wanted.target, "-copy-from", wanted.from,
              "-copy-to", wanted.to, "-overwrite", "-mappers", std::to_string(settings.maps),
              "-bandwidth", std::to_string(settings.bandwidth)});
  return out;
}

}  // namespace lockstep::hbase
