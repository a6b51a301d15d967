// Source: reading a snapshot, of the primary's pins or of the secondary's points.
#pragma once

#include <memory>
#include <string>

#include "common/component/source.hpp"
#include "common/components/hdfs/crew.hpp"
#include "common/components/hdfs/native.hpp"
#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hdfs {

class HdfsSource final : public component::Source {
 public:
  HdfsSource(WebHdfs& hdfs, Crew& crew, Native native, std::string name)
      : hdfs_(hdfs), crew_(crew), native_(std::move(native)), name_(std::move(name)) {}

  Result<std::unique_ptr<component::EntryCursor>> entries() override;
  Result<std::unique_ptr<component::ChangeCursor>> changes(const component::Version& base) override;
  Result<std::unique_ptr<component::EntryReader>> open(const component::Entry& entry) override;
  Result<std::string> kept_sum(const component::Entry& entry) override;
  Result<std::string> made_sum(const component::Entry& entry, const std::string& like,
                               const std::stop_token& stop) override;
  bool unchanged(const component::Entry& before, const component::Entry& now) const override;
  Result<std::optional<std::vector<component::Extent>>> changed_extents(
      const component::Entry&, const component::Version&) override {
    // HDFS does not tell which bytes differ: leaves are compared with the manifest's.
    return std::optional<std::vector<component::Extent>>();
  }
  Result<std::optional<std::vector<component::Extent>>> compared_extents(
      const component::Entry& entry, const component::Version& base) override;

 private:
  WebHdfs& hdfs_;
  Crew& crew_;
  Native native_;
  std::string name_;  // of the version
};

class HdfsSources final : public component::Sources {
 public:
  HdfsSources(WebHdfs& hdfs, Crew& crew) : hdfs_(hdfs), crew_(crew) {}
  Result<std::unique_ptr<component::Source>> open(const component::Version& version) override;

 private:
  WebHdfs& hdfs_;
  Crew& crew_;
};

}  // namespace lockstep::hdfs
