#include "common/components/hdfs/jobs.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

namespace lockstep::hdfs {

using component::Context;

namespace {

constexpr auto kLook = std::chrono::milliseconds(500);
constexpr Nanos kKillTime = seconds(60);
constexpr Nanos kLongest = seconds(std::int64_t{30} * 86400);
constexpr std::uint64_t kLongestConfiguration = std::uint64_t{16} << 20U;

}  // namespace

Result<void> may_go_on(const Context& context, const Clock& clock) {
  if (context.stop.stop_requested()) {
    return make_error(ErrorCode::cancelled, "carrying by an engine was stopped");
  }
  if (context.deadline && clock.utc() > *context.deadline) {
    return make_error(ErrorCode::deadline, "the engine did not end in time");
  }
  return {};
}

Jobs::Jobs(const Settings& own, const JobSettings& settings, std::string program,
           os::Processes& processes, const Clock& clock)
    : settings_(settings),
      program_(std::move(program)),
      user_(own.user),
      patience_(own.patience),
      processes_(processes),
      clock_(clock),
      hdfs_(own, clock) {
  if (on_yarn()) yarn_.emplace(settings_.resourcemanagers, own.user, own.ca, clock);
}

std::string Jobs::yarn_words() {
  return yarn_ ? "; YARN (for " + program_ + "): " + yarn_->nodes() : std::string();
}

Result<std::vector<Job>> Jobs::find(const std::string& tag, std::optional<Nanos> patience) {
  if (!on_yarn()) return std::vector<Job>();
  auto found = yarn_->jobs(tag, patience.value_or(patience_));
  if (found) return std::move(*found);
  const Trouble trouble = found.error().trouble;
  const bool away =
      trouble == Trouble::unreached || trouble == Trouble::lost || trouble == Trouble::wait;
  return make_error(
      away ? ErrorCode::unreachable : ErrorCode::carry_failed,
      "YARN does not tell of its jobs: " + found.error().text, settings_.resourcemanagers.front(),
      "are the ResourceManagers up (`yarn rmadmin -getAllServiceState`), and named by "
      "`resourcemanagers` in lockstep.yaml?");
}

Result<void> Jobs::launch(const Context& context, const std::string& tag,
                          std::vector<std::string> program, const std::string& failed,
                          const std::string& from) {
  os::Command command;
  command.argv = std::move(program);
  command.environment["HADOOP_USER_NAME"] = user_;
  // With this process it ends: nobody submits a job after it that nobody waits for.
  command.die_with_parent = true;
  Nanos time = kLongest;
  if (context.deadline) time = std::min(time, *context.deadline - clock_.utc());
  LOCKSTEP_TRY(const auto done, processes_.run(command, time, context.stop));
  auto going_on = may_go_on(context, clock_);
  if (going_on && done.timed_out) {
    going_on = make_error(ErrorCode::carry_failed, program_ + " did not end in time", from);
  }
  if (!going_on) {  // it may have submitted one all the same
    LOCKSTEP_CHECK(end(tag));
    return going_on;
  }
  return done.exit_status == 0 ? Result<void>{} : launch_error(failed, done.output, from);
}

Result<std::optional<Job>> Jobs::wait(const Context& context, const std::string& tag,
                                      const std::function<void()>& meanwhile) {
  while (true) {
    auto found = find(tag);
    if (!found && found.error().code != ErrorCode::unreachable) return std::move(found).error();
    if (found && found->empty()) return std::optional<Job>();
    if (found && found->back().ended()) return std::optional(std::move(found->back()));
    if (auto going_on = may_go_on(context, clock_); !going_on) {
      LOCKSTEP_CHECK(end(tag));
      return std::move(going_on).error();
    }
    meanwhile();
    std::this_thread::sleep_for(kLook);
  }
}

Result<std::optional<Job>> Jobs::take_over(const Context& context, const JobTags& tags,
                                           const std::function<void()>& meanwhile) {
  LOCKSTEP_CHECK(end(tags.place, tags.attempt));
  LOCKSTEP_TRY(auto job, wait(context, tags.attempt, meanwhile));
  if (job) return job;
  LOCKSTEP_TRY(auto earlier, find(tags.run));
  return earlier.empty() ? std::optional<Job>() : std::optional(std::move(earlier.back()));
}

Result<void> Jobs::kill(const std::string& id) {
  os::Command command;
  command.argv = kill_command(settings_, id);
  command.environment["HADOOP_USER_NAME"] = user_;
  LOCKSTEP_TRY(const auto done, processes_.run(command, kKillTime, {}));
  if (done.exit_status == 0) return {};
  return make_error(ErrorCode::carry_failed,
                    "a job of " + program_ + " could not be ended: " + reason_of(done.output), id,
                    "end it by hand: yarn application -kill " + id);
}

Result<void> Jobs::end(const std::string& tag, const std::string& but,
                       std::optional<Nanos> patience) {
  const MonoNanos until = clock_.mono() + kKillTime;
  std::set<std::string> killed;
  while (true) {
    LOCKSTEP_TRY(const auto found, find(tag, patience));
    const auto left = std::find_if(found.begin(), found.end(), [&](const Job& job) {
      return !job.ended() && (but.empty() || !job.has_tag(but));
    });
    if (left == found.end()) break;
    if (killed.insert(left->id).second) {
      LOCKSTEP_CHECK(kill(left->id));
    } else if (clock_.mono() > until) {
      return make_error(ErrorCode::carry_failed, "a job of " + program_ + " that was ended goes on",
                        left->id);
    }
    std::this_thread::sleep_for(kLook);
  }
  for (const std::string& id : killed) sweep_after(id);
  return {};
}

// What cannot be removed now stays: it is YARN's, small, and nobody's data.
void Jobs::sweep_after(const std::string& id) {
  const auto files = staging_of(id, user_);
  // Where the client's files lie only the job's own configuration tells.
  std::string text;
  const auto status = hdfs_.status(files.configuration);
  if (status && status->length <= kLongestConfiguration) {
    (void)hdfs_.stream(files.configuration, 0, status->length,
                       [&](std::span<const std::byte> bytes) {
                         text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                         return true;
                       });
  }
  const std::string of_client = path_in(read_property(text, "distcp.meta.folder").value_or(""));
  if (parent_of(of_client) == files.above && name_of(of_client).starts_with("_distcp")) {
    (void)hdfs_.remove(of_client);
  }
  (void)hdfs_.remove(files.directory);
}

}  // namespace lockstep::hdfs
