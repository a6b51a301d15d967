// Pins: HBase snapshots of all tables of a set, taken side by side.
#pragma once

#include <memory>

#include "common/component/snapshots.hpp"
#include "common/components/hbase/snapshot_names.hpp"

namespace lockstep::hbase {

std::unique_ptr<component::Snapshots> make_hbase_snapshots(const Cluster& cluster,
                                                           const Clock& clock);

}  // namespace lockstep::hbase
