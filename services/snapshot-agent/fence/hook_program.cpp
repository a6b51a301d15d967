#include "services/snapshot-agent/fence/hook_program.hpp"

#include "common/config/reader.hpp"

namespace lockstep::snapshot {

Result<std::string> hook_program(const std::string& directory, const std::string& name) {
  if (!config::is_name(name)) {
    return make_error(
        ErrorCode::fence_failed,
        "a hook is named by small letters, digits and `-`: a file of the directory of "
        "hooks, " +
            directory,
        name);
  }
  return directory + "/" + name;
}

}  // namespace lockstep::snapshot
