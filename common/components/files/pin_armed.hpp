// The two ways of pinning a set of files, armed.
#pragma once

#include <memory>
#include <string>

#include "common/component/component.hpp"
#include "common/components/files/exclude.hpp"
#include "common/components/files/pin_place.hpp"

namespace lockstep::files {

// What both are made from.
struct PinRequest {
  const component::Surroundings& surroundings;
  const component::Context& context;
  const component::DataSet& set;
  UtcNanos moment;
  Exclude exclude;
  PinPlace place;
  std::string store;
  std::string directory;  // <store>/pins/<service>/<set>
  std::string hold;       // <directory>/<run>
};

// A read-only snapshot of the subvolume that holds the set.
Result<std::unique_ptr<component::Armed>> arm_subvolume(PinRequest request);

// A tree of clones or copies with the proof of quiet. `base_hold`: a whole tree pin of the set to
// link unchanged files from, or empty.
Result<std::unique_ptr<component::Armed>> arm_tree(PinRequest request,
                                                   const std::string& base_hold);

// Removes a pin, whole or half-made, of either form, with its record of origins.
Result<void> remove_pin(os::Disk& disk, const std::string& hold);

}  // namespace lockstep::files
