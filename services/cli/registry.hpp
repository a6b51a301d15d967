// Registry: where each group of commands announces itself; main.cpp runs the one that was chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "common/error/error.hpp"

namespace lockstep::cli {

struct Options {
  std::string config;  // -c FILE
  std::string as;      // --as NAME: the party whose key is used; empty: the site's first user
  bool json = false;
};

// The exit status, or the error that decides it.
using Action = std::function<Result<int>()>;

class Registry {
 public:
  Registry(CLI::App& app, Options& options) : app_(app), options_(options) {}

  // A command of the top level, or below `parent`, that needs a site. `example` stands in its help.
  CLI::App* command(const std::string& name, const std::string& description,
                    const std::string& example, CLI::App* parent = nullptr);
  // One that works without a configuration file.
  CLI::App* bare_command(const std::string& name, const std::string& description,
                         const std::string& example, CLI::App* parent = nullptr);
  // Only holds further commands.
  CLI::App* group(const std::string& name, const std::string& description);
  // A reading command: --json.
  void takes_json(CLI::App* command);
  void on(CLI::App* command, Action action);

  // All commands, with the texts of their --help.
  const CLI::App& app() const { return app_; }
  const Options& options() const { return options_; }
  const Action& chosen() const { return chosen_; }

 private:
  CLI::App& app_;
  Options& options_;
  Action chosen_;
};

void add_init(Registry& registry);
void add_keys(Registry& registry);
void add_up(Registry& registry);
void add_status(Registry& registry);
void add_policy(Registry& registry);
void add_run(Registry& registry);
void add_points(Registry& registry);
void add_restore(Registry& registry);
void add_keeping(Registry& registry);
void add_explain(Registry& registry);
void add_client(Registry& registry);
void add_promote(Registry& registry);
void add_way_back(Registry& registry);
void add_recover(Registry& registry);
void add_drill(Registry& registry);
void add_events(Registry& registry);
void add_ping(Registry& registry);
void add_audit(Registry& registry);
void add_bundle(Registry& registry);
void add_shell(Registry& registry);
void add_doctor(Registry& registry);
void add_inject(Registry& registry);
void add_users(Registry& registry);

}  // namespace lockstep::cli
