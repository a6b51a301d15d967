// The hdfs component: a directory of HDFS with all it holds, by WebHDFS (docs/components/hdfs.md).
//
// Pinned by pins.hpp, read by source.hpp, received and kept by target.hpp.
#pragma once

#include <memory>

#include "common/component/component.hpp"
#include "common/components/hdfs/settings.hpp"

namespace lockstep::hdfs {

// `surroundings` and what it refers to must outlive the component. Nothing is asked of the cluster
// before the first call.
std::unique_ptr<component::Component> make_hdfs(const component::Surroundings& surroundings,
                                                const Settings& settings);

}  // namespace lockstep::hdfs
