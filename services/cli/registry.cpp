#include "services/cli/registry.hpp"

namespace lockstep::cli {

CLI::App* Registry::bare_command(const std::string& name, const std::string& description,
                                 const std::string& example, CLI::App* parent) {
  CLI::App* command = (parent != nullptr ? parent : &app_)->add_subcommand(name, description);
  command->footer("Example:\n  " + example);
  return command;
}

CLI::App* Registry::command(const std::string& name, const std::string& description,
                            const std::string& example, CLI::App* parent) {
  CLI::App* command = bare_command(name, description, example, parent);
  command
      ->add_option("-c,--config", options_.config,
                   "The site's lockstep.yaml; LOCKSTEP_CONFIG stands for it")
      ->type_name("FILE");
  command->add_option("--as", options_.as, "The party whose key is used (default: the first user)")
      ->type_name("NAME");
  return command;
}

CLI::App* Registry::group(const std::string& name, const std::string& description) {
  CLI::App* group = app_.add_subcommand(name, description);
  group->require_subcommand(1);
  // So that `lockstep -c FILE policy list` and `lockstep policy list -c FILE` are the same.
  group->fallthrough();
  return group;
}

void Registry::takes_json(CLI::App* command) {
  command->add_flag("--json", options_.json, "Print JSON, as docs/cli.md says");
}

void Registry::on(CLI::App* command, Action action) {
  command->callback([this, action = std::move(action)] { chosen_ = action; });
}

}  // namespace lockstep::cli
