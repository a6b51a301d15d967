// Staging: the target directory itself, being brought from one point to the next.
//
// There is one, so one attempt at a time works in it, which its mark names (mark.hpp). Where that
// attempt has no version, for it died or its run failed later, whoever comes next brings the
// directory back to the base first. Nobody reads the directory meanwhile; what is read are its
// snapshots.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/component/target.hpp"
#include "common/components/hdfs/crew.hpp"
#include "common/components/hdfs/webhdfs.hpp"
#include "common/components/hdfs/writer.hpp"

namespace lockstep::hdfs {

// Brings `directory` to what its snapshot `to` holds, times too; empty: to no content at all. Costs
// a listing of both (file_times.hpp), and what differs; where what is to be removed stood, or was
// written over, is copied anew. Returns how many places differed in more than a time.
Result<std::size_t> bring_back(WebHdfs& hdfs, Crew& crew, const std::string& directory,
                               const std::string& to);

// The newest of the set's points and pins, or no content where there is none: what is left of an
// attempt that ended is undone, and the mark names that point, or goes.
Result<void> undo_attempt(WebHdfs& hdfs, Crew& crew, const component::DataSet& target);

class HdfsStaging final : public component::Staging {
 public:
  struct Setup {
    component::DataSet target;
    component::Context context;
    std::string base;     // the base's path, or empty
    std::string carried;  // carried_to(), or empty
    std::vector<std::string> caveats;
    std::function<void()> release;  // called when this ends, once nothing of it is on its way
  };
  HdfsStaging(WebHdfs& hdfs, Crew& crew, Setup setup);
  ~HdfsStaging() override;
  HdfsStaging(const HdfsStaging&) = delete;
  HdfsStaging& operator=(const HdfsStaging&) = delete;

  // Another attempt takes the directory over: nothing of this one reaches it any more. Thread rule:
  // any thread.
  void revoke();

  Result<void> begin(const component::Entry& entry, component::Action action) override;
  Result<void> write(std::uint64_t offset, std::span<const std::byte> data) override;
  Result<void> finish() override;
  Result<std::size_t> read_back(std::uint64_t offset, std::span<std::byte> into) override;
  Result<void> remove(const std::string& path) override;
  Result<void> leave_directory(const component::Entry& directory) override;
  Result<void> checkpoint() override;
  Result<component::Version> seal() override;
  Result<void> abandon() override;
  std::string carried_to() const override { return setup_.carried; }
  std::vector<std::string> caveats() const override { return setup_.caveats; }

 private:
  Result<void> check_open() const;

  WebHdfs& hdfs_;
  Crew& crew_;
  Setup setup_;
  std::mutex mutex_;                        // over each call, against revoke()
  std::optional<component::Version> made_;  // by seal()
  std::optional<Writer> writer_;
};

}  // namespace lockstep::hdfs
