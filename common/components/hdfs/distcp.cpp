#include "common/components/hdfs/distcp.hpp"

#include <algorithm>

#include "common/components/hdfs/at_will.hpp"
#include "common/components/hdfs/carried.hpp"
#include "common/components/hdfs/distcp_words.hpp"

namespace lockstep::hdfs {

using component::Carried;
using component::Context;
using component::Haul;

namespace {

constexpr Nanos kTell = seconds(60);
constexpr Nanos kShortPatience = seconds(2);

}  // namespace

DistCp::DistCp(const Settings& own, std::map<std::string, Settings> clusters,
               os::Processes& processes, const Clock& clock)
    : settings_(own.distcp.value()),
      clusters_(std::move(clusters)),
      clock_(clock),
      jobs_(own, settings_, "DistCp", processes, clock),
      crew_(own.connections) {}

Result<WebHdfs*> DistCp::reach(const std::string& cluster) {
  const auto found = clusters_.find(cluster);
  if (found == clusters_.end() || found->second.filesystem.empty()) {
    return make_error(ErrorCode::not_supported,
                      "DistCp needs to know how Hadoop names the HDFS of " + cluster, {},
                      "say `filesystem: hdfs://...` of it in lockstep.yaml");
  }
  const std::lock_guard lock(mutex_);
  auto& reached = reached_[cluster];
  if (!reached) reached = std::make_unique<WebHdfs>(found->second, clock_);
  return reached.get();
}

Result<DistCp::Ends> DistCp::ends_of(const Context& context, const Haul& haul) {
  const component::SetId& id = haul.version.id;
  // It is the peer's word where the peer receives.
  if (!is_carried_to(haul.to, haul.place, id, context.run)) {
    return make_error(ErrorCode::stream_hostile, "content is asked for where none may be brought",
                      haul.to);
  }
  LOCKSTEP_TRY(WebHdfs* const from, reach(haul.from_cluster));
  LOCKSTEP_TRY(WebHdfs* const to, reach(haul.to_cluster));
  LOCKSTEP_TRY(Native source, native_from_text(haul.version.native));
  std::string from_address = from->settings().filesystem + source.root();
  std::string to_address = to->settings().filesystem + haul.to;
  JobTags tags = job_tags(id, context, to->settings().filesystem + haul.place);
  return Ends{
      *from,          *to, std::move(source), std::move(from_address), std::move(to_address),
      std::move(tags)};
}

Result<void> DistCp::call_off(const Context& context, const component::SetId& id) {
  return jobs_.end(job_tags(id, context, {}).run, {}, kShortPatience);
}

Result<std::string> DistCp::why_not(const Ends& ends, bool at_will, std::string& size) {
  if (!ends.source.captures_open_files) {
    return std::string(
        "a file that is open for writing may grow in this snapshot (capture.openfiles is off)");
  }
  if (looks_like_a_pattern(ends.from_address)) {
    return std::string("DistCp takes the path for a pattern");
  }
  const auto bytes = ends.from.content_length(ends.source.root());
  if (!bytes && at_will) {
    return to_error(bytes.error(), ErrorCode::source_read, "ask for the size of",
                    ends.source.root());
  }
  size = bytes ? in_mebibytes(*bytes) : "of unknown size";
  return at_will ? too_small(*bytes, settings_.from, "DistCp") : std::string();
}

Result<Carried> DistCp::carry(const Context& context, const Haul& haul, bool at_will) {
  LOCKSTEP_TRY(const Ends ends, ends_of(context, haul));
  std::string size;
  LOCKSTEP_TRY(const std::string against, why_not(ends, at_will, size));
  if (!against.empty()) return left_to_the_stream(against);
  auto carried = carry_all(context, haul, ends);
  if (!carried) return failed(carried.error(), at_will, "DistCp");
  carried->how = "DistCp carried the content (" + size + ", " + carried->how + ", " +
                 (at_will ? chosen_at_will(settings_.from) : "`engine: distcp`") +
                 "): it is known by HDFS's own checksums" + but_for(*carried) + ".";
  return carried;
}

Result<Carried> DistCp::carry_all(const Context& context, const Haul& haul, const Ends& ends) {
  LOCKSTEP_TRY(auto job, jobs_.take_over(context, ends.tags, telling(context, haul, ends)));
  bool found = job && job->succeeded();
  if (!found) {
    if (job) jobs_.sweep_after(job->id);
    LOCKSTEP_TRY(job, run(context, haul, ends));
  }
  LOCKSTEP_TRY(Comparison brought, compare(context, haul, ends));
  if (found && !brought.missing.empty()) {  // it was there once
    LOCKSTEP_TRY(job, run(context, haul, ends));
    LOCKSTEP_TRY(brought, compare(context, haul, ends));
  }
  Carried carried{true, job->id, std::move(brought.missing)};
  carried.except.insert(carried.except.end(), brought.different.begin(), brought.different.end());
  std::sort(carried.except.begin(), carried.except.end());
  if (!brought.too_many) return carried;
  return make_error(ErrorCode::carry_failed,
                    "what DistCp brought lacks more than " + std::to_string(carried.except.size()) +
                        " files or has others, such as " + carried.except.front(),
                    job->id,
                    "its tasks' logs tell why (yarn logs -applicationId " + job->id +
                        "); `engine: stream` does without it");
}

Result<Job> DistCp::run(const Context& context, const Haul& haul, const Ends& ends) {
  auto made = ends.to.make_directory(haul.to);
  // Until each file has its own rights again, nobody else reads any.
  if (made) made = ends.to.set_mode(haul.to, 0700);
  if (!made) return to_error(made.error(), ErrorCode::target_write, "make the directory", haul.to);
  const component::SetId& id = haul.version.id;
  const std::string name = "lockstep " + id.service + "/" + id.set + " of run " + context.run;
  LOCKSTEP_CHECK(
      jobs_.launch(context, ends.tags.attempt,
                   distcp_command(settings_, ends.tags, name, ends.from_address, ends.to_address),
                   "DistCp could not be started", ends.from_address));
  LOCKSTEP_TRY(auto job, jobs_.wait(context, ends.tags.attempt, telling(context, haul, ends)));
  if (!job) {
    return make_error(ErrorCode::carry_failed, "YARN does not know the job that was submitted",
                      ends.from_address);
  }
  if (job->succeeded()) return std::move(*job);
  jobs_.sweep_after(job->id);
  return make_error(ErrorCode::carry_failed, "the job of DistCp has " + words_of(*job), job->id,
                    "why stands in its tasks' logs: yarn logs -applicationId " + job->id);
}

std::function<void()> DistCp::telling(const Context& context, const Haul& haul,
                                      const Ends& ends) const {
  return [&context, &haul, &ends, &clock = clock_, told = clock_.mono()]() mutable {
    // What a job says of its progress is no measure: what lies there is.
    if (!context.progress || clock.mono() - told < kTell) return;
    if (const auto bytes = ends.to.content_length(haul.to)) context.progress(0, *bytes);
    told = clock.mono();
  };
}

Result<Comparison> DistCp::compare(const Context& context, const Haul& haul, const Ends& ends) {
  return compare_brought(context, clock_, ends.from, ends.source.root(), ends.to, haul.to,
                         haul.place, crew_);
}

}  // namespace lockstep::hdfs
