// DistCp: Hadoop's own copier as an engine (component/carries.hpp), a job on the YARN of the
// cluster whose agent drives the transfer.
//
// A job is found again by its tags, by whoever looks: after the death of an agent it is waited for
// and not begun again. What it says of its success is not believed: each file's checksum is
// compared between the two clusters.
//
// Thread rule: any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/component/carries.hpp"
#include "common/components/hdfs/comparison.hpp"
#include "common/components/hdfs/jobs.hpp"
#include "common/components/hdfs/native.hpp"

namespace lockstep::hdfs {

class DistCp final : public component::Carries {
 public:
  // `own`: the cluster on whose YARN jobs run; its settings have `distcp`. `clusters`: how each
  // cluster's HDFS is reached from here, by name.
  DistCp(const Settings& own, std::map<std::string, Settings> clusters, os::Processes& processes,
         const Clock& clock);

  Result<component::Carried> carry(const component::Context& context, const component::Haul& haul,
                                   bool at_will) override;
  Result<void> call_off(const component::Context& context, const component::SetId& id) override;

  std::string yarn_words() { return jobs_.yarn_words(); }

 private:
  // One haul's two ends.
  struct Ends {
    WebHdfs& from;
    WebHdfs& to;
    Native source;
    std::string from_address;  // "hdfs://nn:8020/data/.snapshot/x"
    std::string to_address;
    JobTags tags;
  };
  Result<Ends> ends_of(const component::Context& context, const component::Haul& haul);
  Result<WebHdfs*> reach(const std::string& cluster);
  // Why the stream carries it instead; empty: DistCp does. `size` in words.
  Result<std::string> why_not(const Ends& ends, bool at_will, std::string& size);
  Result<component::Carried> carry_all(const component::Context& context,
                                       const component::Haul& haul, const Ends& ends);
  // Submits a job and waits for its good end.
  Result<Job> run(const component::Context& context, const component::Haul& haul, const Ends& ends);
  // Tells how much there is while a job is waited for. All that is handed in outlives it.
  std::function<void()> telling(const component::Context& context, const component::Haul& haul,
                                const Ends& ends) const;
  Result<Comparison> compare(const component::Context& context, const component::Haul& haul,
                             const Ends& ends);

  const JobSettings settings_;
  const std::map<std::string, Settings> clusters_;
  const Clock& clock_;
  Jobs jobs_;
  Crew crew_;

  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<WebHdfs>> reached_;  // by cluster
};

}  // namespace lockstep::hdfs
