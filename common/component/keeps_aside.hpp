// KeepsAside: offered by a Target that receives into the very places where applications work while
// their cluster is the primary. What one had written there and nobody carried over is kept aside
// before the first transfer the other way begins.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/component/target.hpp"

namespace lockstep::component {

// Thread rule: any thread.
class KeepsAside {
 public:
  virtual ~KeepsAside() = default;
  struct KeptAside {
    Version version;    // a Sources opens it
    std::string where;  // for a person to look at, in the store's own words
  };
  // What was kept of `place` after the run `since`, oldest first. Nothing at all where no transfer
  // into it has begun since: what was written is there still. Errors: io.
  virtual Result<std::optional<std::vector<KeptAside>>> kept_aside(const DataSet& place,
                                                                   const std::string& since) = 0;
};

}  // namespace lockstep::component
