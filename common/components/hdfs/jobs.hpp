// Jobs: one program's jobs on one cluster's YARN: begun, found by their tags, waited for, ended,
// and what they leave swept away. Where the settings name no ResourceManager the program does the
// job's work itself and ends with it: then there is nothing to find or to end.
//
// Thread rule: any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/components/hdfs/job_words.hpp"
#include "common/components/hdfs/webhdfs.hpp"
#include "common/components/hdfs/yarn.hpp"
#include "common/os/processes.hpp"

namespace lockstep::hdfs {

// Error: cancelled, deadline.
Result<void> may_go_on(const component::Context& context, const Clock& clock);

class Jobs {
 public:
  // `own`: of the cluster on whose YARN they run, and the user who runs them. `program`: its name,
  // for errors.
  Jobs(const Settings& own, const JobSettings& settings, std::string program,
       os::Processes& processes, const Clock& clock);

  // "; YARN: 3 nodes live, ..." for those who ask for the store's health; empty without YARN. That
  // it is away is no trouble of the store's: it is the next job's.
  std::string yarn_words();
  bool on_yarn() const { return !settings_.resourcemanagers.empty(); }

  // Those that have the tag, oldest first. Error: unreachable, carry-failed. `patience`: the
  // settings', where it is not said.
  Result<std::vector<Job>> find(const std::string& tag, std::optional<Nanos> patience = {});
  // Runs the program to its end; its job has the tag. What it brings is from `from`. Error:
  // permission, unreachable, carry-failed ("<failed>: <reason>"); cancelled, deadline, and then
  // none of the tag runs.
  Result<void> launch(const component::Context& context, const std::string& tag,
                      std::vector<std::string> program, const std::string& failed,
                      const std::string& from);
  // The newest of the tag once it has ended; nothing where there is none. `meanwhile` is called
  // twice a second. A ResourceManager that is away is waited for. Errors: cancelled, deadline; then
  // none of the tag runs.
  Result<std::optional<Job>> wait(const component::Context& context, const std::string& tag,
                                  const std::function<void()>& meanwhile);
  // What an attempt finds: the place's other jobs are ended, this attempt's newest is waited for,
  // as above; else it is the newest of an earlier attempt of the run, whose work is this one's now.
  Result<std::optional<Job>> take_over(const component::Context& context, const JobTags& tags,
                                       const std::function<void()>& meanwhile);
  // Ends those of the tag, but for one tag's, and returns when they have ended.
  Result<void> end(const std::string& tag, const std::string& but = {},
                   std::optional<Nanos> patience = {});
  // Of one that did not end well by itself: its files, and those of its client.
  void sweep_after(const std::string& id);

 private:
  Result<void> kill(const std::string& id);

  const JobSettings settings_;
  const std::string program_;
  const std::string user_;
  const Nanos patience_;
  os::Processes& processes_;
  const Clock& clock_;
  WebHdfs hdfs_;
  std::optional<Yarn> yarn_;
};

}  // namespace lockstep::hdfs
