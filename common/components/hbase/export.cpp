#include "common/components/hbase/export.hpp"

#include <algorithm>
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
constexpr std::size_t kTogether = 4;  // programs of a set: each takes some 200 MB
constexpr Nanos kShortPatience = seconds(2);
constexpr std::size_t kBatch = 512;  // files whose checksums are asked for together

std::string archived(const std::string& root, const std::string& place) {
  return join(root, "archive/" + place);
}

// The one that a job makes, which is that of the largest HFile.
std::uint64_t block_size_of(const std::vector<HFile>& hfiles) {
  const auto largest = std::max_element(
      hfiles.begin(), hfiles.end(), [](const HFile& a, const HFile& b) { return a.size < b.size; });
  return largest == hfiles.end() ? 0 : largest->block_size;
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
      jobs_(hdfs_of(own), settings_, kProgram, at_.processes, at_.clock),
      lookers_(own.hdfs.connections) {
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
  if (!reached) reached = std::make_unique<hdfs::WebHdfs>(hdfs_of(its), at_.clock);
  const std::string address = its.hdfs.filesystem + its.rootdir;
  return Store{*reached, its.rootdir, address};
}

Result<ExportSnapshot::Haulage> ExportSnapshot::haulage_of(const Context& context,
                                                           const Haul& haul) {
  const component::SetId& id = haul.version.id;
  LOCKSTEP_TRY(Store from, store_of(haul.from_cluster));
  LOCKSTEP_TRY(Store to, store_of(haul.to_cluster));
  const auto root = bridge_.root();
  if (!root) {
    return to_error(root.error(), ErrorCode::carry_failed, "ask HBase for its directory", "");
  }
  // Where the peer receives it is its word.
  const std::string prefix = prefix_of(Use::carried, id, context.run);
  if (*root != own_.rootdir || haul.to != snapshot_directory(to.root, prefix)) {
    return make_error(ErrorCode::carry_failed,
                      "HBase lies in another directory than this site's file says",
                      *root != own_.rootdir ? *root : haul.to,
                      "`rootdir` of both clusters' `hbase:` in lockstep.yaml must be the path in "
                      "hbase.rootdir of their hbase-site.xml");
  }
  LOCKSTEP_TRY(const Native native, native_from_text(haul.version.native));
  Haulage all{from, to, hdfs::job_tags(id, context, {}).run, {}, haul.whole};
  for (const Snapshot& pin : native.snapshots) {
    if (!pin.name.starts_with(prefix_of(Use::pin, id)) || !can_be_named(pin.table)) {
      return make_error(ErrorCode::stream_hostile, "this is no pin of the set", pin.name);
    }
    const std::string name = pin.table.space + "." + pin.table.table;
    const component::SetId one{id.service, id.set + "/" + name};
    all.tables.push_back(
        {pin,
         prefix + name,
         "lockstep " + id.service + "/" + id.set + " of run " + context.run + ": " +
             pin.table.text(),
         hdfs::job_tags(one, context, to.address + "/" + id.service + "/" + one.set),
         {},
         {},
         {}});
  }
  return all;
}

Result<void> ExportSnapshot::call_off(const Context& context, const component::SetId& id) {
  return jobs_.end(hdfs::job_tags(id, context, {}).run, {}, kShortPatience);
}

Result<hdfs::Comparison> ExportSnapshot::compare(const Context& context, const Haulage& all,
                                                 const std::vector<HFile>& hfiles) {
  hdfs::Comparison found;
  for (std::size_t at = 0; at < hfiles.size();) {
    std::vector<hdfs::Twin> batch;
    for (; at < hfiles.size() && batch.size() < kBatch; ++at) {
      batch.push_back(
          {hfiles[at].place, hfiles[at].paths, {archived(all.to.root, hfiles[at].place)}});
    }
    LOCKSTEP_CHECK(
        hdfs::compare_twins(std::move(batch), all.from.files, all.to.files, lookers_, found));
    LOCKSTEP_CHECK(hdfs::may_go_on(context, at_.clock));
  }
  return found;
}

Result<std::string> ExportSnapshot::look_at(const Context& context, const Haulage& all,
                                            Table& table) {
  std::vector<hdfs::Reply<hdfs::Status>> there(table.all.size(), hdfs::Failure{});
  lookers_.each(there.size(), [&](std::size_t i) {
    there[i] = all.to.files.status(archived(all.to.root, table.all[i].place));
  });
  std::vector<HFile> as_long;
  for (std::size_t i = 0; i < there.size(); ++i) {
    if (!there[i] && there[i].error().trouble != hdfs::Trouble::missing) {
      return hdfs::to_error(there[i].error(), ErrorCode::carry_failed, "look at",
                            archived(all.to.root, table.all[i].place));
    }
    // One of another length is what an export left that was broken off: no point was made of it.
    const bool is_there = there[i] && there[i]->length == table.all[i].size;
    (is_there ? as_long : table.lacking).push_back(table.all[i]);
  }
  LOCKSTEP_TRY(const auto compared, compare(context, all, as_long));
  if (const std::string other = compared.other(); !other.empty()) {
    return "the other HBase has HFiles whose checksums are others, of blocks of another size or "
           "damaged, which ExportSnapshot would write anew under the points that need them, such "
           "as " +
           other;
  }
  const std::uint64_t block = block_size_of(table.lacking);
  for (const HFile& file : table.lacking) {
    if (file.block_size == block || file.size <= std::min(file.block_size, block)) continue;
    return "HFiles of " + table.pin.table.text() +
           " have blocks of different sizes, of which ExportSnapshot makes one";
  }
  return std::string();
}

Result<void> ExportSnapshot::look(const Context& context, Haulage& all) {
  for (Table& table : all.tables) {
    LOCKSTEP_TRY(const auto job, jobs_.take_over(context, table.tags, [] {}));
    if (job) {  // the program that ran it ended with its process
      table.job = job->id;
      jobs_.sweep_after(job->id);
    }
    LOCKSTEP_TRY(table.all, read_hfiles(bridge_, all.from.address, table.pin.name,
                                        ErrorCode::carry_failed, context.stop));
  }
  return {};
}

Result<Carried> ExportSnapshot::carry(const Context& context, const Haul& haul, bool at_will) {
  auto known = haulage_of(context, haul);
  if (!known) return hdfs::failed(known.error(), at_will, kProgram);
  Haulage& all = *known;
  if (at_will && !haul.whole) {
    // A job of an earlier attempt, when the set was carried whole. Where YARN is away none is
    // ended.
    for (const Table& table : all.tables) {
      if (!jobs_.end(table.tags.place, table.tags.attempt, kShortPatience)) break;
    }
    return hdfs::left_to_the_stream("`engine: auto` leaves to it what is new since the base");
  }
  if (auto looked = look(context, all); !looked) {
    return hdfs::failed(looked.error(), at_will, kProgram);
  }
  std::uint64_t bytes = 0;
  for (const Table& table : all.tables) {
    for (const HFile& file : table.all) bytes += file.size;
  }
  if (at_will) {
    const std::string against = hdfs::too_small(bytes, settings_.from, kProgram);
    if (!against.empty()) return hdfs::left_to_the_stream(against);
  }
  for (Table& table : all.tables) {
    const auto against = look_at(context, all, table);
    if (!against) return hdfs::failed(against.error(), at_will, kProgram);
    if (!against->empty()) return hdfs::left_to_the_stream(*against);
  }
  auto carried = carry_all(context, all);
  if (!carried) return hdfs::failed(carried.error(), at_will, kProgram);
  carried->how = "ExportSnapshot carried the HFiles (" + std::to_string(all.tables.size()) +
                 " tables of " + hdfs::in_mebibytes(bytes) + ", " + carried->how + ", " +
                 (at_will ? hdfs::chosen_at_will(settings_.from) : "`engine: exportsnapshot`") +
                 "): they are known by HDFS's own checksums.";
  return carried;
}

Result<Carried> ExportSnapshot::carry_all(const Context& context, const Haulage& all) {
  // Where one fails the others are not waited for.
  std::stop_source ending;
  const std::stop_callback passing_on(context.stop, [&ending] { ending.request_stop(); });
  Context one = context;
  one.stop = ending.get_token();
  std::vector<Result<std::string>> done(all.tables.size(),
                                        make_error(ErrorCode::cancelled, "carrying was stopped"));
  // Of its own: another set's may take hours.
  hdfs::Crew crew(static_cast<int>(std::min(kTogether, std::max<std::size_t>(1, done.size()))));
  crew.each(done.size(), [&](std::size_t i) {
    if (one.stop.stop_requested()) return;
    done[i] = export_table(one, all, all.tables[i]);
    if (!done[i]) ending.request_stop();
  });
  const auto first = std::find_if(done.begin(), done.end(), [](const Result<std::string>& result) {
    return !result && result.error().code != ErrorCode::cancelled;
  });
  if (first != done.end()) return std::move(*first).error();
  Carried carried{true, jobs_.on_yarn() ? "" : "in local jobs", {}};
  for (auto& job : done) {
    if (!job) return std::move(job).error();
    carried.how += (carried.how.empty() || job->empty() ? "" : ", ") + *job;
  }
  if (carried.how.empty()) carried.how = all.whole ? "by an earlier attempt" : "nothing was new";
  return carried;
}

Result<std::string> ExportSnapshot::export_table(const Context& context, const Haulage& all,
                                                 const Table& table) {
  const std::string manifest = join(snapshot_directory(all.to.root, table.target), "data.manifest");
  if (table.lacking.empty() && all.to.files.status(manifest)) return table.job;
  // What the table had at the base it has there still, where nothing was compacted.
  if (table.lacking.empty() && table.job.empty() && !all.whole) return std::string();
  LOCKSTEP_TRY(std::string job, run(context, all, table));
  LOCKSTEP_TRY(const auto brought, compare(context, all, table.lacking));
  std::string lacks;
  if (!all.to.files.status(manifest)) lacks = "the snapshot " + manifest;
  if (lacks.empty() && !brought.other().empty()) lacks = "the HFile " + brought.other();
  if (lacks.empty()) return job;
  return make_error(ErrorCode::carry_failed,
                    "ExportSnapshot says that it succeeded, but does not bring " + lacks,
                    table.target,
                    "is its `java` a program of a JDK, and do its `classpath` and both clusters' "
                    "`filesystem` and `rootdir` name the same clusters as HBase's own settings?");
}

Result<std::string> ExportSnapshot::run(const Context& context, const Haulage& all,
                                        const Table& table) {
  hdfs::JobSettings settings = settings_;
  if (table.lacking.empty()) settings.resourcemanagers.clear();  // nothing to copy wants no YARN
  const std::string tags =
      table.tags.attempt + "," + table.tags.run + "," + table.tags.place + "," + all.run_tag;
  const Export wanted{tags,
                      table.name,
                      table.pin.name,
                      table.target,
                      all.from.address,
                      all.to.address,
                      block_size_of(table.lacking.empty() ? table.all : table.lacking),
                      directory_ + "/" + table.tags.attempt};
  auto launched =
      jobs_.launch(context, table.tags.attempt, export_command(settings, wanted),
                   "ExportSnapshot of " + table.pin.table.text() + " failed", all.from.address);
  static_cast<void>(os::remove_tree(at_.disk, os::kCwd, wanted.directory));
  if (launched) {
    LOCKSTEP_TRY(const auto jobs, jobs_.find(table.tags.attempt));
    return jobs.empty() ? table.job : jobs.back().id;
  }
  // Its program ended, and it may go on; where YARN is away that is seen to by the next attempt.
  if (auto ended = jobs_.end(table.tags.attempt); !ended) return launched.error();
  const auto jobs = jobs_.find(table.tags.attempt);
  const bool own = jobs && !jobs->empty() && jobs->back().id != table.job;
  if (!own) return launched.error();
  jobs_.sweep_after(jobs->back().id);
  if (launched.error().code != ErrorCode::carry_failed) return launched.error();
  return make_error(ErrorCode::carry_failed,
                    launched.error().what + "; its job has " + hdfs::words_of(jobs->back()),
                    jobs->back().id,
                    "why stands in its tasks' logs: yarn logs -applicationId " + jobs->back().id);
}

}  // namespace lockstep::hbase
