// The hbase component: tables of HBase, by its snapshots (docs/components/hbase.md).
//
// Pinned by pins.hpp, read by source.hpp, received and kept by target.hpp. What only HBase's own
// classes can do is done by a resident Java program (bridge.hpp), bytes go by WebHDFS.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/component/component.hpp"
#include "common/components/hbase/settings.hpp"

namespace lockstep::hbase {

// `surroundings` and what it refers to must outlive the component. The Java program is started at
// once, on a thread of its own. `clusters`: how each cluster's HBase is reached, by name, where
// `settings` have `exportsnapshot`.
std::unique_ptr<component::Component> make_hbase(
    const component::Surroundings& surroundings, const Settings& settings,
    const std::map<std::string, Settings>& clusters = {});

}  // namespace lockstep::hbase
