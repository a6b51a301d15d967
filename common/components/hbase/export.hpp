// ExportSnapshot: HBase's own copier as an engine (component/carries.hpp): a job for each table, on
// the YARN of the cluster whose agent drives the transfer, or in the program that is started.
//
// It brings the HFiles that are not there yet into the other cluster's HBase: into its archive,
// with a snapshot lockstep-carried.* (snapshot_names.hpp) for which HBase's cleaner spares them
// until the point's own names them. The program does the last step itself, when its job has ended:
// where an agent died over it, the job is found by its tags and waited for, and the program run
// again.
//
// What it says of its success is not believed: the snapshot is looked for, and each HFile's
// checksum compared between the two clusters. And it is run only where it writes nothing anew that
// is there in the same length: it would do so in place, under the points that need the file.
//
// Thread rule: any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/component/carries.hpp"
#include "common/component/component.hpp"
#include "common/components/hbase/bridge.hpp"
#include "common/components/hbase/contents.hpp"
#include "common/components/hbase/native.hpp"
#include "common/components/hdfs/comparison.hpp"
#include "common/components/hdfs/crew.hpp"
#include "common/components/hdfs/jobs.hpp"

namespace lockstep::hbase {

class ExportSnapshot final : public component::Carries {
 public:
  // `own`: the cluster of this agent, whose HBase `bridge` asks; its settings have
  // `exportsnapshot`. `clusters`: how each cluster's HBase is reached from here, by name.
  ExportSnapshot(const Settings& own, Bridge& bridge, std::map<std::string, Settings> clusters,
                 const component::Surroundings& surroundings);

  Result<component::Carried> carry(const component::Context& context, const component::Haul& haul,
                                   bool at_will) override;
  Result<void> call_off(const component::Context& context, const component::SetId& id) override;

  std::string yarn_words() { return jobs_.yarn_words(); }

 private:
  // A cluster's HBase, as files.
  struct Store {
    hdfs::WebHdfs& files;
    std::string root;     // "/hbase"
    std::string address;  // "hdfs://nn:8020/hbase"
  };
  struct Table {
    Snapshot pin;
    std::string target;  // the name of the snapshot that is to be made
    std::string name;    // of the job
    hdfs::JobTags tags;
    std::string job;  // that was found, by whomever begun; it has ended
    std::vector<HFile> all;
    std::vector<HFile> lacking;  // of these, in the other archive
  };
  struct Haulage {
    Store from;
    Store to;
    std::string run_tag;  // of the jobs of all tables
    std::vector<Table> tables;
    bool whole = true;  // there is no base
  };
  Result<Store> store_of(const std::string& cluster);
  Result<Haulage> haulage_of(const component::Context& context, const component::Haul& haul);
  // Has no other job of the place's go on, waits for those of this attempt, and looks at what there
  // is, and what is to be brought.
  Result<void> look(const component::Context& context, Haulage& all);
  // Sets `lacking`. Says why ExportSnapshot may not bring it; nothing where it may.
  Result<std::string> look_at(const component::Context& context, const Haulage& all, Table& table);
  Result<component::Carried> carry_all(const component::Context& context, const Haulage& all);
  // Says which job it was; nothing where none was needed.
  Result<std::string> export_table(const component::Context& context, const Haulage& all,
                                   const Table& table);
  Result<std::string> run(const component::Context& context, const Haulage& all,
                          const Table& table);
  // Says which of the HFiles are not the same in both.
  Result<hdfs::Comparison> compare(const component::Context& context, const Haulage& all,
                                   const std::vector<HFile>& hfiles);

  const component::Surroundings at_;
  const std::string directory_;  // of local jobs
  const Settings own_;
  const hdfs::JobSettings settings_;
  Bridge& bridge_;
  const std::map<std::string, Settings> clusters_;
  hdfs::Jobs jobs_;
  hdfs::Crew lookers_;  // for requests of a moment

  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<hdfs::WebHdfs>> reached_;  // by cluster
};

}  // namespace lockstep::hbase
