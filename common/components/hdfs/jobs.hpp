// Jobs: DistCp's jobs on one cluster's YARN: begun, found by their tags, waited for, ended, and
// what they leave swept away.
//
// Thread rule: any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/components/hdfs/distcp_words.hpp"
#include "common/components/hdfs/webhdfs.hpp"
#include "common/components/hdfs/yarn.hpp"
#include "common/os/processes.hpp"

namespace lockstep::hdfs {

// Error: cancelled, deadline.
Result<void> may_go_on(const component::Context& context, const Clock& clock);

class Jobs {
 public:
  // `own`: of the cluster on whose YARN they run; its settings have `distcp`.
  Jobs(const Settings& own, os::Processes& processes, const Clock& clock);

  // Those that have the tag, oldest first. Error: unreachable, carry-failed. `patience`: the
  // settings', where it is not said.
  Result<std::vector<Job>> find(const std::string& tag, std::optional<Nanos> patience = {});
  // Submits one. Error: permission, unreachable, carry-failed, cancelled, deadline; then none runs.
  Result<void> launch(const component::Context& context, const JobTags& tags,
                      const std::string& name, const std::string& from, const std::string& to);
  // The newest of the tag once it has ended; nothing where there is none. `meanwhile` is called
  // twice a second. A ResourceManager that is away is waited for. Errors: cancelled, deadline; then
  // none of the tag runs.
  Result<std::optional<Job>> wait(const component::Context& context, const std::string& tag,
                                  const std::function<void()>& meanwhile);
  // Ends those of the tag, but for one tag's, and returns when they have ended.
  Result<void> end(const std::string& tag, const std::string& but = {},
                   std::optional<Nanos> patience = {});
  // Of one that did not end well by itself: its files, and those of DistCp's client.
  void sweep_after(const std::string& id);

 private:
  Result<void> kill(const std::string& id);

  const JobSettings settings_;
  const std::string user_;
  const Nanos patience_;
  os::Processes& processes_;
  const Clock& clock_;
  WebHdfs hdfs_;
  Yarn yarn_;
};

}  // namespace lockstep::hdfs
