// Target: receives a data set into a directory of HDFS, and keeps its points as that directory's
// snapshots.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "common/component/discards.hpp"
#include "common/component/keeps_aside.hpp"
#include "common/component/makes_live.hpp"
#include "common/component/target.hpp"
#include "common/components/hdfs/crew.hpp"
#include "common/components/hdfs/staging.hpp"
#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hdfs {

class HdfsTarget final : public component::Target,
                         public component::MakesLive,
                         public component::KeepsAside,
                         public component::Discards {
 public:
  HdfsTarget(WebHdfs& hdfs, Crew& crew, const Clock& clock)
      : hdfs_(hdfs), crew_(crew), clock_(clock) {}

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
  bool may_start_from(const component::Version& version) const override;
  bool is_within_reach(const component::DataSet& target,
                       const component::Version& version) const override;
  Result<std::optional<std::vector<KeptAside>>> kept_aside(const component::DataSet& place,
                                                           const std::string& since) override;
  Result<void> discard(const component::Place& place) override;
  Result<RestoreResult> make_live(const component::Context& context,
                                  const component::Version& version,
                                  const component::Place& place) override;

 private:
  Result<void> make_ready(const component::DataSet& target);
  // The directory is nobody's else: what is in it was put there by Lockstep, or it is the set's own
  // place, of which there are pins.
  Result<void> check_own(const component::DataSet& target);
  // Nothing of an attempt that works there reaches it any more. Under mutex_.
  void end_work_in(const std::string& directory);
  Result<void> adopt_again(const component::Context& context, const component::DataSet& target);
  Result<void> drop_point(const component::DataSet& target, const component::Version& version,
                          const std::string& snapshot);

  WebHdfs& hdfs_;
  Crew& crew_;
  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, HdfsStaging*> at_work_;  // by directory
};

}  // namespace lockstep::hdfs
