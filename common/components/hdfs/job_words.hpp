// What is said of jobs to YARN, and what it answers, read. Pure.
//
// Sources: Hadoop's ResourceManager REST document ("Cluster Applications API"), and what was found
// by trying 3.4.2 (docs/hadoop.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/components/hdfs/answers.hpp"
#include "common/components/hdfs/settings.hpp"

namespace lockstep::hdfs {

// By these tags a job is found again, whoever began it: of an attempt, of a run, of all of the
// set's. YARN takes lower-case ASCII, at most 100 bytes.
struct JobTags {
  std::string attempt;  // "lockstep.<run>.<attempt>.<digest of service and set>"
  std::string run;      // "lockstep-run.<run>.<digest>"
  std::string place;    // "lockstep-place.<digest of the place's address>"
};
// `place`: the whole address of the target's directory; other sites have sets of the same names.
JobTags job_tags(const component::SetId& id, const component::Context& context,
                 const std::string& place);

// "-Dkey=value"
std::string property(const char* key, const std::string& value);
// The program `main_class` and what is said to any that runs a job: where, and how the job is found
// again. `tags` are separated by ','. The program's own arguments follow.
std::vector<std::string> job_command(const JobSettings& settings, const char* main_class,
                                     const std::string& tags, const std::string& name);
std::vector<std::string> kill_command(const JobSettings& settings, const std::string& id);

// Why a program of Hadoop's failed, from what it printed: the exception that it ended with.
std::string reason_of(const std::string& output);
// The error to it: permission, unreachable, carry-failed. `what`: "DistCp could not be started".
Error launch_error(const std::string& what, const std::string& output, const std::string& where);

// An application of YARN's.
struct Job {
  std::string id;     // "application_1795374118358_0001"
  std::string state;  // "ACCEPTED", "RUNNING", "FINISHED", "FAILED", "KILLED", ...
  std::string final_status;
  std::string diagnostics;
  double progress = 0;  // percent
  std::string tags;     // separated by ','
  std::int64_t started_ms = 0;

  bool ended() const { return state == "FINISHED" || state == "FAILED" || state == "KILLED"; }
  bool succeeded() const { return state == "FINISHED" && final_status == "SUCCEEDED"; }
  bool has_tag(const std::string& tag) const;
};
// "failed (failedMaps:1 ...)"
std::string words_of(const Job& job);
// Where a job's files lie until it ends (yarn.app.mapreduce.am.staging-dir's default).
struct JobFiles {
  std::string above;          // "/tmp/hadoop-yarn/staging/hdfs/.staging"
  std::string directory;      // ".../job_1795374118358_0001"
  std::string configuration;  // ".../job_1795374118358_0001/job.xml"
};
JobFiles staging_of(const std::string& id, const std::string& user);
// "/a/b" of "hdfs://host:8020/a/b", and of itself.
std::string path_in(const std::string& address);
// Of /ws/v1/cluster/metrics: "3 nodes live, 1 lost, 0 unhealthy".
Reply<std::string> read_nodes(const std::string& body);
// Of /ws/v1/cluster/apps, oldest first.
Reply<std::vector<Job>> read_jobs(const std::string& body);

}  // namespace lockstep::hdfs
