// lockstep: the command line. Each group of commands is a file of its own; docs/cli.md has them
// all.
#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include "common/config/reader.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"

#ifndef LOCKSTEP_VERSION
#error "LOCKSTEP_VERSION comes from the build"
#endif

namespace {

using namespace lockstep;

constexpr const char* kAbout =
    "Lockstep backs up every data set of a service, across stores of different formats, at one "
    "and\n"
    "the same moment, from a primary cluster to a secondary one, and proves that it did.";

// What CLI11 says of a mistake, with the command that was probably meant.
Error explain(CLI::App& app, const CLI::ParseError& error, int count, char** words) {
  std::vector<std::string> known;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(command->get_name());
  }
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "-c" || word == "--config") ++i;
    if (word.starts_with("-")) continue;
    if (std::find(known.begin(), known.end(), word) != known.end()) break;
    const auto near = config::nearest(word, known);
    return make_error(ErrorCode::usage, "no command is named `" + word + "`", {},
                      near ? "did you mean `" + *near + "`?" : "");
  }
  return make_error(ErrorCode::usage, error.what());
}

int run(int count, char** words) {
  CLI::App app{kAbout, "lockstep"};
  cli::Options options;
  app.set_version_flag("--version", "lockstep " LOCKSTEP_VERSION);
  app.add_option("-c,--config", options.config,
                 "The site's lockstep.yaml; LOCKSTEP_CONFIG stands for it")
      ->type_name("FILE");
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 usage, 3 refused by a guard, 4 not reachable.\n"
      "Example:\n  lockstep init demo --local && lockstep up -c demo/lockstep.yaml --detach");

  cli::Registry registry{app, options};
  cli::add_init(registry);
  cli::add_keys(registry);
  cli::add_up(registry);
  cli::add_status(registry);
  cli::add_policy(registry);
  cli::add_run(registry);
  cli::add_points(registry);
  cli::add_restore(registry);
  cli::add_keeping(registry);
  cli::add_explain(registry);
  cli::add_client(registry);
  cli::add_promote(registry);
  cli::add_way_back(registry);
  cli::add_recover(registry);
  cli::add_drill(registry);
  cli::add_events(registry);
  cli::add_ping(registry);
  cli::add_doctor(registry);
  cli::add_shell(registry);
  cli::add_inject(registry);
  cli::add_audit(registry);
  cli::add_bundle(registry);
  cli::add_users(registry);

  try {
    app.parse(count, words);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    cli::print_error(explain(app, error, count, words), options.json);
    return 2;
  }
  auto status = registry.chosen()();
  if (status) return *status;
  cli::print_error(status.error(), options.json);
  return error_info(status.error().code).exit_status;
}

}  // namespace

int main(int count, char** words) {
  // `lockstep points | head`: writing to a closed pipe is an error of writing, not a death.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run(count, words);
  } catch (const std::exception& exception) {
    lockstep::cli::print_error(
        lockstep::make_error(lockstep::ErrorCode::internal, exception.what()), false);
    return 1;
  }
}
