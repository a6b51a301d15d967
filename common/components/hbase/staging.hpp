// Staging: a directory of HDFS beside HBase's own, unique to the attempt, into which the files of
// contents.hpp are written as they come. Sealing moves HFiles to HBase's archive and makes
// snapshots of them; the directory's end makes the version.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/component/target.hpp"
#include "common/components/hbase/snapshot_names.hpp"
#include "common/components/hdfs/writer.hpp"

namespace lockstep::hbase {

class HBaseStaging final : public component::Staging {
 public:
  // `archive`: HBase's, from which patched files take what is not written, and in which those lie
  // that ExportSnapshot brought. `sealed`: the version
  // that this run has already; then nothing that comes is kept.
  HBaseStaging(const Cluster& cluster, component::DataSet target, component::Context context,
               std::string directory, std::string archive,
               std::optional<component::Version> sealed);

  Result<void> begin(const component::Entry& entry, component::Action action) override;
  Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override;
  Result<void> finish() override;
  Result<std::size_t> read_back(std::uint64_t offset, std::span<std::byte> into) override;
  Result<void> remove(const std::string& path) override;
  Result<void> leave_directory(const component::Entry&) override { return {}; }
  Result<void> checkpoint() override { return {}; }  // another process begins at the base again
  Result<component::Version> seal() override;
  Result<void> abandon() override;
  // The run's snapshots that ExportSnapshot is to make, but for the tables' names:
  // "/hbase/.hbase-snapshot/lockstep-carried.<service>.<set>.<run>."
  std::string carried_to() const override;

 private:
  struct Info {
    TableName table;
    std::string bytes;
  };
  Result<void> adopt(const component::Entry& hfile);
  Result<void> publish();

  Cluster cluster_;
  component::DataSet target_;
  component::Context context_;
  std::string directory_;
  std::string archive_;
  std::optional<component::Version> sealed_;
  std::optional<hdfs::Writer> writer_;
  bool skipping_ = false;              // the entry begun is as it should be
  Info* info_ = nullptr;               // the entry begun is that description
  std::map<std::string, Info> infos_;  // by path
};

}  // namespace lockstep::hbase
