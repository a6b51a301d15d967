#include <algorithm>
#include <catch2/catch.hpp>

#include "common/components/hbase/export_words.hpp"

using namespace lockstep;
using namespace lockstep::hbase;

namespace {

Export some() {
  return {"a,r,p,s",
          "lockstep orders/lines of run 1: orders:lines",
          "lockstep-pin.x",
          "lockstep-carried.x",
          "hdfs://n:8020/hbase",
          "hdfs://s:8020/hbase",
          1U << 20U,
          "/var/lib/lockstep/a/exportsnapshot/x"};
}

bool has(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// What follows `option`.
std::string after(const std::vector<std::string>& words, const std::string& option) {
  const auto found = std::find(words.begin(), words.end(), option);
  return found == words.end() || found + 1 == words.end() ? "" : found[1];
}

}  // namespace

TEST_CASE("exportsnapshot: the command names both clusters, queue, maps, bandwidth and tags") {
  hdfs::JobSettings settings;
  settings.java = "/usr/bin/java";
  settings.classpath = "/etc/hbase/conf:/opt/hbase/*";
  settings.resourcemanagers = {"http://rm:8088"};
  settings.queue = "backup";
  settings.maps = 7;
  settings.bandwidth = 33;
  const auto words = export_command(settings, some());
  CHECK(words.front() == "/usr/bin/java");
  CHECK(after(words, "-cp") == "/etc/hbase/conf:/opt/hbase/*");
  CHECK(has(words, "-Dmapreduce.framework.name=yarn"));
  CHECK(has(words, "-Dmapreduce.job.tags=a,r,p,s"));
  CHECK(has(words, "-Dmapreduce.job.queuename=backup"));
  CHECK(has(words, "-Ddfs.blocksize=1048576"));
  CHECK(after(words, "-snapshot") == "lockstep-pin.x");
  CHECK(after(words, "-target") == "lockstep-carried.x");
  CHECK(after(words, "-copy-from") == "hdfs://n:8020/hbase");
  CHECK(after(words, "-copy-to") == "hdfs://s:8020/hbase");
  CHECK(after(words, "-mappers") == "7");
  CHECK(after(words, "-bandwidth") == "33");
  CHECK(has(words, "-overwrite"));
  // Hadoop reads its own options before the program's.
  const auto last = std::find_if(words.rbegin(), words.rend(),
                                 [](const std::string& word) { return word.starts_with("-Dmap"); });
  CHECK(words.rend() - last < std::find(words.begin(), words.end(), "-snapshot") - words.begin());
}

TEST_CASE("exportsnapshot: without a ResourceManager the job is a local one, in no queue") {
  const auto words = export_command({}, some());
  CHECK(has(words, "-Dmapreduce.cluster.local.dir=/var/lib/lockstep/a/exportsnapshot/x"));
  CHECK(has(words, "-Dmapreduce.framework.name=local"));
  CHECK(std::none_of(words.begin(), words.end(), [](const std::string& word) {
    return word.starts_with("-Dmapreduce.job.queuename") || word.starts_with("-Dyarn.");
  }));
}
