// Tools: what every part of the snapshot-agent is handed.
#pragma once

#include <string>

#include "common/clock/clock.hpp"
#include "common/component/component.hpp"
#include "common/journal/journal.hpp"
#include "common/os/disk.hpp"
#include "common/os/processes.hpp"

namespace lockstep::snapshot {

// All that is referred to outlives every part. Thread rule: as its members; all of them may be used
// from any thread.
struct Tools {
  std::string name;           // the agent's, in lockstep.yaml
  std::string state;          // its own directory: journal, fifos, the guard's log
  std::string hooks;          // directory of hooks
  std::string guard_program;  // lockstep-fence-guard
  os::Disk& disk;
  os::Processes& processes;
  const Clock& clock;
  journal::Journal& journal;
  const component::Components& components;
};

}  // namespace lockstep::snapshot
