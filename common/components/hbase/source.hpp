// Source: reading the snapshots of a version as a tree of files (contents.hpp).
#pragma once

#include "common/component/source.hpp"
#include "common/components/hbase/contents.hpp"

namespace lockstep::hbase {

class HBaseSources final : public component::Sources {
 public:
  explicit HBaseSources(const Cluster& cluster) : cluster_(cluster) {}
  Result<std::unique_ptr<component::Source>> open(const component::Version& version) override;

 private:
  Cluster cluster_;
};

}  // namespace lockstep::hbase
