// The hdfs component: a directory of HDFS with all it holds, by WebHDFS (docs/components/hdfs.md).
//
// Pinned by pins.hpp, read by source.hpp, received and kept by target.hpp.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/component/component.hpp"
#include "common/components/hdfs/settings.hpp"

namespace lockstep::hdfs {

// `surroundings` and what it refers to must outlive the component. Nothing is asked of the cluster
// before the first call. `clusters`: how each cluster's HDFS is reached from here, by name, where
// `settings` have `distcp`.
std::unique_ptr<component::Component> make_hdfs(
    const component::Surroundings& surroundings, const Settings& settings,
    const std::map<std::string, Settings>& clusters = {});

}  // namespace lockstep::hdfs
