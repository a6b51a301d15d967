// Yarn: a cluster's ResourceManagers by their REST interface, as far as jobs are watched.
//
// Thread rule: any thread.
#pragma once

#include <string>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/components/hdfs/http.hpp"
#include "common/components/hdfs/job_words.hpp"

namespace lockstep::hdfs {

class Yarn {
 public:
  // `resourcemanagers`: addresses of their web servers, at least one; of several one is active.
  Yarn(std::vector<std::string> resourcemanagers, std::string user, std::string ca,
       const Clock& clock)
      : resourcemanagers_(std::move(resourcemanagers)),
        user_(std::move(user)),
        clock_(clock),
        http_(std::move(ca)) {}

  // "3 nodes live, 1 lost, 0 unhealthy", or within seconds why it does not tell.
  std::string nodes();

  // The jobs that have the tag, oldest first. Tried until one answers, for so long at most.
  Reply<std::vector<Job>> jobs(const std::string& tag, Nanos patience);

 private:
  // The body of /ws/v1/cluster/<what>user.name=...: "apps?", "apps?a=b&".
  Reply<std::string> ask(const std::string& what, Nanos patience);

  const std::vector<std::string> resourcemanagers_;
  const std::string user_;
  const Clock& clock_;
  Http http_;
};

}  // namespace lockstep::hdfs
