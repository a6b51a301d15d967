// Commands that this version does not have yet. They say so, instead of being unknown.
#include "services/cli/registry.hpp"

namespace lockstep::cli {

void add_later(Registry& registry) {
  struct Later {
    const char* name;
    const char* what;
  };
  static constexpr Later kLater[] = {
      {"users", "User data of both clusters"},
  };
  for (const auto& later : kLater) {
    const std::string name = later.name;
    CLI::App* command = registry.bare_command(name, std::string{later.what} + " (not built yet)",
                                              "lockstep " + name);
    command->group("Not built yet");
    command->allow_extras();
    registry.on(command, [name]() -> Result<int> {
      return make_error(ErrorCode::not_built_yet, "`lockstep " + name + "` is not built yet");
    });
  }
}

}  // namespace lockstep::cli
