#include "common/components/hbase/export.hpp"

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/components/hbase/export_words.hpp"
#include "common/components/hbase/snapshot_names.hpp"
#include "common/components/hdfs/at_will.hpp"
#include "common/os/remove_tree.hpp"

namespace lockstep::hbase {

using component::Carried;
using component::Context;
using component::Haul;
using hdfs::join;

namespace {

constexpr const char* kProgram = "ExportSnapshot";
constexpr int kTogether = 4;  // programs: each takes some 200 MB
constexpr Nanos kPatience = seconds(600);
constexpr Nanos kShortPatience = seconds(2);
constexpr std::size_t kBatch = 512;  // files whose checksums are asked for together

hdfs::Settings as_user(hdfs::Settings settings, const std::string& user) {
  settings.user = user;
  return settings;
}

}  // namespace

ExportSnapshot::ExportSnapshot(const Settings& own, Bridge& bridge,
                               std::map<std::string, Settings> clusters,
                               const component::Surroundings& surroundings)
    : at_(surroundings),
      directory_(at_.state_directory + "/exportsnapshot"),
      own_(own),
      settings_(own.exportsnapshot.value()),
      bridge_(bridge),
      clusters_(std::move(clusters)),
      jobs_(as_user(own.hdfs, own.user), settings_, kProgram, at_.processes, at_.clock),
      exporters_(kTogether),
      comparers_(own.hdfs.connections) {
  // Of local jobs that ended with the process that ran them.
  static_cast<void>(os::remove_tree(at_.disk, os::kCwd, directory_));
}

Result<ExportSnapshot::Store> ExportSnapshot::store_of(const std::string& cluster) {
  const auto found = clusters_.find(cluster);
  if (found == clusters_.end() || found->second.hdfs.filesystem.empty()) {
    return make_error(ErrorCode::not_supported,
                      "ExportSnapshot needs to know how Hadoop names the HDFS of " + cluster, {},
                      "say `filesystem: hdfs://...` of its `hdfs:` in lockstep.yaml");
  }
  const Settings& its = found->second;
  const std::lock_guard lock(mutex_);
  auto& reached = reached_[cluster];
  if (!reached) reached = std::make_unique<hdfs::WebHdfs>(as_user(its.hdfs, its.user), at_.clock);
  const std::string address = its.hdfs.filesystem + its.rootdir;
  return Store{*reached, its.rootdir, address, address == own_.hdfs.filesystem + own_.rootdir};
}

Result<ExportSnapshot::Haulage> ExportSnapshot::haulage_of(const Context& context,
                                                           const Haul& haul) {
  const component::SetId& id = haul.version.id;
  LOCKSTEP_TRY(Store from, store_of(haul.from_cluster));
  LOCKSTEP_TRY(Store to, store_of(haul.to_cluster));
  // Where the peer receives it is its word.
  const std::string prefix = prefix_of(Use::carried, id, context.run);
  if (haul.to != snapshot_directory(to.root, prefix)) {
    return make_error(ErrorCode::carry_failed,
                      "the HFiles are asked for in another place than this site's", haul.to,
                      "`rootdir` of the clusters' `hbase:` in lockstep.yaml must be the path in "
                      "hbase.rootdir of their hbase-site.xml");
  }
  LOCKSTEP_TRY(const Native native, native_from_text(haul.version.native));
  Haulage all{from, to, {}, haul.whole};
  for (const Snapshot& pin : native.snapshots) {
    if (!pin.name.starts_with(prefix_of(Use::pin, id)) || !can_be_named(pin.table)) {
      return make_error(ErrorCode::stream_hostile, "this is no pin of the set", pin.name);
    }
    const std::string name = pin.table.space + "." + pin.table.table;
    const component::SetId one{id.service, id.set + "/" + name};
    all.tables.push_back(
        {pin, prefix + name,
         "lockstep " + id.service + "/" + id.set + " of run " + context.run + ": " +
             pin.table.text(),
         hdfs::job_tags(one, context, to.address + "/" + id.service + "/" + one.set),
         hdfs::job_tags(id, context, {}).run});
  }
  return all;
}

Result<void> ExportSnapshot::call_off(const Context& context, const component::SetId& id) {
  return jobs_.end(hdfs::job_tags(id, context, {}).run, {}, kShortPatience);
}

// What was moved to the archive before is not counted.
std::uint64_t ExportSnapshot::size_of(const Haulage& all) {
  std::uint64_t bytes = 0;
  for (const Table& table : all.tables) {
    const TableName& name = table.pin.table;
    const auto in_table =
        all.from.files.content_length(join(all.from.root, "data/" + name.space + "/" + name.table));
    if (in_table) bytes += *in_table;
  }
  return bytes;
}

Result<Carried> ExportSnapshot::carry(const Context& context, const Haul& haul, bool at_will) {
  LOCKSTEP_TRY(const Haulage all, haulage_of(context, haul));
  if (at_will && !haul.whole) {
    return hdfs::left_to_the_stream(
        "`engine: auto` leaves to it what is new since the newest point");
  }
  const std::uint64_t bytes = size_of(all);
  if (at_will) {
    const std::string against = hdfs::too_small(bytes, settings_.from, kProgram);
    if (!against.empty()) return hdfs::left_to_the_stream(against);
  }
  auto carried = carry_all(context, all);
  if (!carried) return hdfs::failed(carried.error(), at_will, kProgram);
  carried->how = "ExportSnapshot carried the HFiles (" + std::to_string(all.tables.size()) +
                 " tables of " + hdfs::in_mebibytes(bytes) + ", " + carried->how + ", " +
                 (at_will ? hdfs::chosen_at_will(settings_.from) : "`engine: exportsnapshot`") +
                 "): they are known by HDFS's own checksums" + hdfs::but_for(*carried) + ".";
  return carried;
}

Result<Carried> ExportSnapshot::carry_all(const Context& context, const Haulage& all) {
  for (const Table& table : all.tables) {
    LOCKSTEP_CHECK(jobs_.end(table.tags.place, table.tags.attempt));
  }
  // Where one fails the others are not waited for.
  std::stop_source ending;
  const std::stop_callback passing_on(context.stop, [&ending] { ending.request_stop(); });
  Context one = context;
  one.stop = ending.get_token();
  std::vector<Result<Done>> done(all.tables.size(),
                                 make_error(ErrorCode::cancelled, "another table's export failed"));
  exporters_.each(all.tables.size(), [&](std::size_t i) {
    if (one.stop.stop_requested()) return;
    done[i] = export_table(one, all, all.tables[i]);
    if (!done[i]) ending.request_stop();
  });
  const auto first = std::find_if(done.begin(), done.end(), [](const Result<Done>& result) {
    return !result && result.error().code != ErrorCode::cancelled;
  });
  if (first != done.end()) return std::move(*first).error();
  Carried carried{true, jobs_.on_yarn() ? "" : "in local jobs", {}};
  std::size_t told = 0;
  for (auto& table : done) {
    if (!table) return std::move(table).error();
    carried.how += (carried.how.empty() || table->job.empty() ? "" : ", ") + table->job;
    told += table->brought.told;
    auto& others = table->brought.different;
    carried.except.insert(carried.except.end(), others.begin(), others.end());
  }
  if (carried.how.empty()) carried.how = all.whole ? "by an earlier attempt" : "nothing was new";
  std::sort(carried.except.begin(), carried.except.end());
  if (told <= component::kMostExcepted) return carried;
  return make_error(ErrorCode::carry_failed,
                    "of the HFiles that ExportSnapshot brought more than " +
                        std::to_string(carried.except.size()) + " have other checksums, such as " +
                        carried.except.front(),
                    all.to.address, "`engine: stream` does without it");
}

Result<ExportSnapshot::Done> ExportSnapshot::export_table(const Context& context,
                                                          const Haulage& all, const Table& table) {
  // A job of this attempt, whose program ended with the process that ran it; or what an earlier
  // attempt brought, which is this one's now.
  LOCKSTEP_TRY(auto job, jobs_.wait(context, table.tags.attempt, [] {}));
  if (!job) {
    LOCKSTEP_TRY(const auto earlier, jobs_.find(table.tags.run));
    if (!earlier.empty()) job = earlier.back();
  }
  Done done{job ? job->id : std::string(), {}};
  LOCKSTEP_TRY(std::string lacking, compare(context, all, table, done.brought));
  if (lacking.empty()) return done;
  if (!job && !all.whole) {
    LOCKSTEP_TRY(const bool new_ones, has_new(context, all, table));
    if (!new_ones) return done;
  }
  if (job) jobs_.sweep_after(job->id);
  LOCKSTEP_TRY(done.job, run(context, all, table, job && job->succeeded()));
  done.brought = {};
  LOCKSTEP_TRY(lacking, compare(context, all, table, done.brought));
  if (lacking.empty()) return done;
  return make_error(ErrorCode::carry_failed,
                    "ExportSnapshot says that it succeeded, but does not bring " + lacking,
                    table.target,
                    "is its `java` a program of a JDK, and do its `classpath` and both clusters' "
                    "`filesystem` and `rootdir` name the same clusters as HBase's own settings?");
}

// What the table had at the base it has there still, where nothing was compacted: no job copies
// that.
Result<bool> ExportSnapshot::has_new(const Context& context, const Haulage& all,
                                     const Table& table) {
  if (!all.from.own) return true;  // only HBase's own code there could tell
  const auto told =
      bridge_.ask({{"op", "files"}, {"name", table.pin.name}}, kPatience, context.stop);
  if (!told) {
    return to_error(told.error(), ErrorCode::source_read, "read what the snapshot is made of",
                    table.pin.name);
  }
  const auto& hfiles = told->at("hfiles");
  std::atomic<bool> found = false;
  comparers_.each(hfiles.size(), [&](std::size_t i) {
    if (found) return;
    const auto there = all.to.files.status(
        join(all.to.root, "archive/" + hfiles[i].at("place").get<std::string>()));
    if (!there || there->length != hfiles[i].at("size").get<std::uint64_t>()) found = true;
  });
  return found.load();
}

Result<std::string> ExportSnapshot::run(const Context& context, const Haulage& all,
                                        const Table& table, bool to_finish) {
  const std::string manifest =
      join(snapshot_directory(all.from.root, table.pin.name), "data.manifest");
  const auto status = all.from.files.status(manifest);
  if (!status) {
    return hdfs::to_error(status.error(), ErrorCode::source_read, "look at the snapshot", manifest);
  }
  const std::string tags =
      table.tags.attempt + "," + table.tags.run + "," + table.tags.place + "," + table.run_tag;
  const Export wanted{tags,
                      table.name,
                      table.pin.name,
                      table.target,
                      all.from.address,
                      all.to.address,
                      status->block_size,
                      directory_ + "/" + table.tags.attempt};
  hdfs::JobSettings settings = settings_;
  if (to_finish) settings.resourcemanagers.clear();  // nothing is left to copy: that needs no YARN
  auto launched =
      jobs_.launch(context, table.tags.attempt, export_command(settings, wanted),
                   "ExportSnapshot of " + table.pin.table.text() + " failed", all.from.address);
  static_cast<void>(os::remove_tree(at_.disk, os::kCwd, wanted.directory));
  if (!launched && launched.error().code != ErrorCode::carry_failed) return launched.error();
  LOCKSTEP_TRY(const auto jobs, jobs_.find(table.tags.attempt));
  if (launched) return jobs.empty() ? std::string() : jobs.back().id;
  if (jobs.empty()) return launched.error();
  const hdfs::Job& job = jobs.back();
  LOCKSTEP_CHECK(jobs_.end(table.tags.attempt));  // its program ended before it
  jobs_.sweep_after(job.id);
  if (!job.ended() || job.succeeded()) return launched.error();
  return make_error(
      ErrorCode::carry_failed,
      "the job of ExportSnapshot for " + table.pin.table.text() + " has " + hdfs::words_of(job),
      job.id, "why stands in its tasks' logs: yarn logs -applicationId " + job.id);
}

Result<std::string> ExportSnapshot::compare(const Context& context, const Haulage& all,
                                            const Table& table, hdfs::Comparison& brought) {
  const std::string manifest = join(snapshot_directory(all.to.root, table.target), "data.manifest");
  const auto status = all.to.files.status(manifest);
  if (!status && status.error().trouble == hdfs::Trouble::missing)
    return "the snapshot " + manifest;
  if (!status) {
    return hdfs::to_error(status.error(), ErrorCode::carry_failed, "look at the snapshot",
                          manifest);
  }
  // HBase's own code says of which HFiles it is made, here or there.
  const std::string& name = all.from.own ? table.pin.name : table.target;
  const auto told = bridge_.ask({{"op", "files"}, {"name", name}}, kPatience, context.stop);
  if (!told && !all.from.own && told.error().trouble == Trouble::missing) {
    return "what it names: " + told.error().text;
  }
  if (!told) {
    const ErrorCode side = all.from.own ? ErrorCode::source_read : ErrorCode::carry_failed;
    return to_error(told.error(), side, "read what the snapshot is made of", name);
  }
  std::vector<hdfs::Twin> batch;
  for (const auto& one : told->at("hfiles")) {
    const auto place = one.at("place").get<std::string>();
    hdfs::Twin twin{place, {}, {join(all.to.root, "archive/" + place)}};
    if (all.from.own) {
      twin.from = one.at("paths").get<std::vector<std::string>>();
    } else {  // where HBase may have it: in use, or compacted away
      for (const char* part : {"", "archive/", "mobdir/"}) {
        twin.from.push_back(join(all.from.root, part + place));
      }
    }
    batch.push_back(std::move(twin));
    if (batch.size() < kBatch) continue;
    LOCKSTEP_CHECK(hdfs::compare_twins(std::exchange(batch, {}), all.from.files, all.to.files,
                                       comparers_, brought));
    LOCKSTEP_CHECK(hdfs::may_go_on(context, at_.clock));
  }
  LOCKSTEP_CHECK(
      hdfs::compare_twins(std::move(batch), all.from.files, all.to.files, comparers_, brought));
  return brought.missing.empty() ? std::string() : "the HFile " + brought.missing.front();
}

}  // namespace lockstep::hbase
