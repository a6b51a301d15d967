// Which program a fence's hook is (docs/fences.md).
#pragma once

#include <string>

#include "common/error/error.hpp"

namespace lockstep::snapshot {

// The program that the policy's name stands for: the file of that name in `directory`, whose owner
// decides what an agent may be told to run. Error: fence-failed for what a policy could not name
// (config::is_name): an instruction comes from the scheduler, but names no program of its own
// choice.
Result<std::string> hook_program(const std::string& directory, const std::string& name);

}  // namespace lockstep::snapshot
