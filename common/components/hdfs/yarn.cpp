#include "common/components/hdfs/yarn.hpp"

#include <algorithm>

#include "common/components/hdfs/address.hpp"
#include "common/components/hdfs/tries.hpp"

namespace lockstep::hdfs {

namespace {
constexpr Nanos kAnswerTime = seconds(20);
constexpr Nanos kHealthTime = seconds(2);
}  // namespace

Reply<std::string> Yarn::ask(const std::string& what, Nanos patience) {
  for (Tries tries(clock_, resourcemanagers_, 0, clock_.mono() + patience, "ResourceManagers");;) {
    const std::string url = resourcemanagers_[tries.turn()] + "/ws/v1/cluster/" + what +
                            "user.name=" + escape(user_, false);
    auto answer = http_.send("GET", url, std::min(kAnswerTime, patience));
    Failure failure;
    if (!answer) {
      failure = failure_of(answer.error(), url);
    } else if (answer->status == 200) {
      return std::move(answer->body);
    } else {
      failure = read_failure(answer->status, answer->body, answer->challenge);
      // One that stands by leads to the active one, which is in the list too.
      const bool elsewhere = answer->status >= 300 && answer->status < 400;
      if (elsewhere || answer->status >= 500) failure.trouble = Trouble::wait;
    }
    if (may_pass(failure)) tries.left(failure);
    if (!tries.again(failure)) return failure;
  }
}

Reply<std::vector<Job>> Yarn::jobs(const std::string& tag, Nanos patience) {
  LOCKSTEP_TRY(const std::string body,
               ask("apps?applicationTags=" + escape(tag, false) + "&", patience));
  return read_jobs(body);
}

std::string Yarn::nodes() {
  const auto body = ask("metrics?", kHealthTime);
  if (!body) return body.error().text;
  const auto told = read_nodes(*body);
  return told ? *told : told.error().text;
}

}  // namespace lockstep::hdfs
