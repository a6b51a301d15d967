// Target: receives the tables of a set, and keeps its points as HBase snapshots.
#pragma once

#include "common/component/makes_live.hpp"
#include "common/component/target.hpp"
#include "common/components/hbase/snapshot_names.hpp"

namespace lockstep::hbase {

class HBaseTarget final : public component::Target, public component::MakesLive {
 public:
  explicit HBaseTarget(const Cluster& cluster) : cluster_(cluster) {}

  Result<void> check(const component::DataSet& target, std::uint64_t bytes_expected) override;
  Result<std::unique_ptr<component::Staging>> stage(
      const component::Context& context, const component::StageRequest& request) override;
  Result<std::optional<component::Version>> find(const component::Context& context,
                                                 const component::DataSet& target) override;
  Result<std::vector<component::Version>> list(const component::DataSet& target) override;
  Result<void> check_version(const component::Version& version) override;
  Result<RestoreResult> restore(const component::Context& context,
                                const component::Version& version, const component::Place& place,
                                const std::string& path, bool replace) override;
  Result<void> drop(const component::Context& context, const component::Version& version) override;
  Result<RestoreResult> make_live(const component::Context& context,
                                  const component::Version& version,
                                  const component::Place& place) override;

 private:
  Cluster cluster_;
};

}  // namespace lockstep::hbase
