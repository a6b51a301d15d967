// Undo: how a fence is taken down again, as text: told to the guard and journaled before the fence
// goes up, so that whoever is left can do it. Doing it twice is harmless.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/clock/moment.hpp"
#include "common/error/error.hpp"
#include "common/os/disk.hpp"
#include "common/os/processes.hpp"

namespace lockstep::snapshot {

struct Undo {
  enum class Kind { hook, cgroup } kind = Kind::hook;
  // hook
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;
  Nanos timeout = seconds(5);
  // cgroup
  std::string directory;  // absolute, of the cgroup
};

std::string to_text(const Undo& undo);
// Error: internal (not ours).
Result<Undo> undo_from_text(const std::string& text);

// Error: hook-failed, fence-failed. A cgroup that is gone is undone.
Result<void> perform(const Undo& undo, os::Disk& disk, os::Processes& processes);

}  // namespace lockstep::snapshot
