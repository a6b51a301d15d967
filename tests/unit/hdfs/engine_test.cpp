// What of the engine needs no cluster: checksums, what is said to DistCp and YARN, and their
// answers.
#include <catch2/catch.hpp>

#include "common/components/hdfs/answers.hpp"
#include "common/components/hdfs/distcp_words.hpp"
#include "common/components/hdfs/sums.hpp"

using namespace lockstep;
using namespace lockstep::hdfs;

namespace {

std::vector<std::byte> content(std::uint64_t size) {
  std::vector<std::byte> out;
  out.reserve(size);
  for (std::uint64_t i = 0; i < size; ++i) {
    out.push_back(static_cast<std::byte>((i * i / 7 + (i >> 8U)) & 255U));
  }
  return out;
}

std::string made(const std::string& like, std::uint64_t size, std::size_t step) {
  auto sum = Sum::like(like);
  REQUIRE(sum);
  const auto bytes = content(size);
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    sum->add(std::span(bytes).subspan(at, std::min(step, bytes.size() - at)));
  }
  return sum->finish();
}

}  // namespace

TEST_CASE("hdfs: the checksum made from content is the one that HDFS keeps") {
  // Of files that Hadoop 3.4.2 held in blocks of 1 MiB.
  const std::string one = "MD5-of-0MD5-of-512CRC32C:000002000000000000000000";
  const std::string many = "MD5-of-2048MD5-of-512CRC32C:000002000000000000000800";
  const std::vector<std::pair<std::uint64_t, std::string>> kept = {
      {1, one + "dc236201841049096ad31b6213203a90"},
      {511, one + "5c9f9f19256bc5dc107bd546650b15aa"},
      {512, one + "1fc107bf23678bb5511fef7e5b30dd8e"},
      {513, one + "8ddbdf8cadb9ed3825fa37076592fcc7"},
      {100000, one + "7fabd1f245902afffb0833bf206f982d"},
      {1048576, one + "aee61db82ae0466770e3538268283b48"},
      {1048581, many + "acbe10de705b0588f30b1bc1b0a8383a"},
      {3145728, many + "819048d9e588e4e10bae1bdc7ca40f2a"},
      {5243580, many + "bec010e0c7b36ccfb8d83422a2b6dd09"}};
  for (const auto& [size, sum] : kept) {
    INFO(size);
    CHECK(made(sum, size, 1 << 20U) == sum);
    CHECK(made(sum, size, 1000) == sum);
  }
}

TEST_CASE("hdfs: a checksum of an unknown kind is not made") {
  for (const char* like :
       {"", "COMPOSITE-CRC32C:00", "MD5-of-0MD5-of-0CRC32C:00", "MD5-of-0MD5-of-512NULL:00",
        "MD5-of-xMD5-of-512CRC32C:00", "MD5-of-0MD5-of-512CRC32C2:00"}) {
    INFO(like);
    CHECK_FALSE(Sum::like(like));
  }
}

TEST_CASE("hdfs: a checksum is read without what its buffer holds after it") {
  const auto sum = read_checksum(
      R"({"FileChecksum":{"algorithm":"MD5-of-0MD5-of-512CRC32C","bytes":"0011223300000000","length":4}})");
  REQUIRE(sum);
  CHECK(*sum == "MD5-of-0MD5-of-512CRC32C:00112233");
  CHECK_FALSE(read_checksum("{}"));
  CHECK_FALSE(read_checksum(R"({"FileChecksum":{"algorithm":"","bytes":""}})"));
  CHECK(read_content_length(R"({"ContentSummary":{"length":12,"fileCount":1}})").value() == 12);
  CHECK_FALSE(read_content_length("[]"));
}

TEST_CASE("distcp: a job's tags are YARN's, tell attempts apart, and name the set") {
  component::Context context;
  context.run = "01930000-0000-7000-8000-000000000010";
  const component::SetId id{std::string(60, 's'), std::string(60, 't')};
  const JobTags first = job_tags(id, context, "hdfs://s:1/a");
  context.attempt = 2;
  const JobTags second = job_tags(id, context, "hdfs://s:1/a");
  CHECK(first.attempt != second.attempt);
  CHECK(first.run == second.run);
  CHECK(first.place == second.place);
  CHECK(job_tags({"s", "t"}, context, "hdfs://s:1/a").attempt != second.attempt);
  CHECK(job_tags(id, context, "hdfs://s:1/b").place != first.place);
  for (const std::string& tag : {first.attempt, first.run, first.place}) {
    CHECK(tag.size() <= 100);
    CHECK(tag.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == std::string::npos);
  }
}

TEST_CASE(
    "distcp: the command names queue, maps, bandwidth and tags, and keeps blocks as they are") {
  JobSettings settings;
  settings.java = "/usr/bin/java";
  settings.classpath = "/etc/hadoop/conf:/opt/*";
  settings.resourcemanagers = {"http://rm:8088"};
  settings.queue = "backup";
  settings.maps = 7;
  settings.bandwidth = 33;
  const auto words =
      distcp_command(settings, {"a", "r", "s"}, "name", "hdfs://n:1/d/.snapshot/x", "hdfs://s:2/t");
  const auto has = [&](const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  CHECK(words.front() == "/usr/bin/java");
  CHECK(has("/etc/hadoop/conf:/opt/*"));
  CHECK(has("-Dmapreduce.job.tags=a,r,s"));
  CHECK(has("-Dmapreduce.job.queuename=backup"));
  CHECK(has("-async"));
  CHECK(has("-prbc"));
  CHECK(has("7"));
  CHECK(has("33"));
  CHECK(words[words.size() - 2] == "hdfs://n:1/d/.snapshot/x");
  CHECK(words.back() == "hdfs://s:2/t");
}

TEST_CASE("distcp: what it died of is the exception's line, and tells what to do") {
  const std::string missing =
      "2026-11-22 19:03:40,347 INFO a.B: x\n2026-11-22 19:03:40,457 ERROR tools.DistCp: Invalid "
      "input: \n"
      "org.apache.hadoop.tools.CopyListing$InvalidInputException: hdfs://n/nosuch doesn't exist\n"
      "\tat "
      "org.apache.hadoop.tools.GlobbedCopyListing.doBuildListing(GlobbedCopyListing.java:84)\n";
  CHECK(reason_of(missing) ==
        "org.apache.hadoop.tools.CopyListing$InvalidInputException: hdfs://n/nosuch doesn't exist");
  CHECK(launch_error("DistCp could not be started", missing, "x").code == ErrorCode::carry_failed);
  CHECK(launch_error("It failed",
                     "org.apache.hadoop.security.AccessControlException: Permission denied", "x")
            .code == ErrorCode::permission);
  CHECK(launch_error("It failed", "java.net.ConnectException: Call From a to b failed", "x").code ==
        ErrorCode::unreachable);
  CHECK(reason_of("Caused by: java.io.IOException: Checksum mismatch\n"
                  "org.apache.hadoop.hbase.snapshot.ExportSnapshotException: NA\n") ==
        "java.io.IOException: Checksum mismatch");
  CHECK(reason_of("") == "it said nothing");
  CHECK(reason_of("Error: no java\n") == "Error: no java");
  CHECK(reason_of("a.BException: " + std::string(5000, 'x')).size() < 500);
}

TEST_CASE(
    "yarn: jobs are read oldest first, and an answer that lists none is not one without jobs") {
  const auto jobs = read_jobs(
      R"({"apps":{"app":[{"id":"application_1_2","state":"RUNNING","finalStatus":"UNDEFINED","progress":42.5,
          "startedTime":20,"applicationTags":"b,a"},
         {"id":"application_1_1","state":"FINISHED","finalStatus":"SUCCEEDED","startedTime":10}]}})");
  REQUIRE(jobs);
  REQUIRE(jobs->size() == 2);
  CHECK(jobs->front().id == "application_1_1");
  CHECK(jobs->front().succeeded());
  CHECK_FALSE(jobs->back().ended());
  CHECK(jobs->back().progress == 42.5);
  CHECK(jobs->back().has_tag("a"));
  CHECK_FALSE(jobs->back().has_tag("ab"));
  CHECK(read_jobs(R"({"apps":null})").value().empty());
  CHECK(read_jobs(R"({"apps":{}})").value().empty());
  CHECK_FALSE(read_jobs("<html>"));
  CHECK_FALSE(read_jobs(R"({"other":1})"));
}

TEST_CASE("yarn: how many of its nodes work is told, and what is no such answer is said") {
  const auto told = read_nodes(
      R"({"clusterMetrics":{"activeNodes":3,"lostNodes":1,"unhealthyNodes":"x","totalMB":1}})");
  REQUIRE(told);
  CHECK(*told == "3 nodes live, 1 lost, unknown unhealthy");
  CHECK_FALSE(read_nodes("<html>"));
  CHECK_FALSE(read_nodes("[]"));
}

TEST_CASE("hdfs: what quotas leave, and that there are none") {
  const auto both = read_quota_left(
      R"({"QuotaUsage":{"fileAndDirectoryCount":7,"quota":5,"spaceConsumed":300,"spaceQuota":1000}})");
  REQUIRE(both);
  CHECK(both->bytes == 700);
  CHECK(both->names == -2);
  const auto none = read_quota_left(
      R"({"QuotaUsage":{"fileAndDirectoryCount":7,"quota":-1,"spaceConsumed":300,"spaceQuota":-1}})");
  REQUIRE(none);
  CHECK_FALSE(none->bytes);
  CHECK_FALSE(none->names);
  CHECK_FALSE(read_quota_left(R"({"QuotaUsage":7})"));
  CHECK_FALSE(read_quota_left("{}"));
}
