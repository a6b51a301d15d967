// lockstep keys init.
#include "common/transport/keys.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/os/durable.hpp"
#include "common/signing/signing_key.hpp"
#include "services/cli/files.hpp"
#include "services/cli/key_files.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

std::vector<std::string> party_names(const config::Site& site) {
  std::vector<std::string> out;
  for (const auto& service : site.control) out.push_back(service.name);
  for (const auto& [name, cluster] : site.clusters) {
    for (const auto& agent : cluster.agents) out.push_back(agent.name);
  }
  out.insert(out.end(), site.users.begin(), site.users.end());
  out.insert(out.end(), site.subscribers.begin(), site.subscribers.end());
  return out;
}

Result<std::vector<std::string>> make_keys(os::Disk& disk, const config::Site& site) {
  std::vector<std::string> made;
  for (const auto& name : party_names(site)) {
    if (os::exists(disk, transport::public_key_path(site.keys, name))) continue;
    LOCKSTEP_CHECK(transport::write_key_files(disk, site.keys, name, transport::make_key_pair()));
    made.push_back(name);
  }
  for (const auto& [cluster, facts] : site.clusters) {
    for (const auto& agent : facts.agents) {
      if (agent.role != transport::Role::transfer_agent) continue;
      if (os::exists(disk, signing::signing_key_path(site.keys, agent.name))) continue;
      LOCKSTEP_CHECK(signing::SigningKey::load_or_make(disk, site.keys, agent.name));
      if (std::find(made.begin(), made.end(), agent.name) == made.end()) {
        made.push_back(agent.name);
      }
    }
  }
  return made;
}

namespace {

Result<int> run_keys_init(const Options& options) {
  LOCKSTEP_TRY(const std::string file, config_file(options));
  LOCKSTEP_TRY(const auto site, config::load_site(file));
  if (site.keys.empty()) {
    return make_error(ErrorCode::config_missing_key, "the file names no directory for keys", file,
                      "add `keys: keys`");
  }
  const auto disk = os::make_kernel_disk();
  LOCKSTEP_CHECK(os::make_directories(*disk, site.keys, 0700, 0755));
  LOCKSTEP_TRY(const auto made, make_keys(*disk, site));
  if (made.empty()) {
    print("every party has a key in " + site.keys);
  } else {
    print(fmt::format("made keys in {} for: {}", site.keys, fmt::join(made, ", ")));
    print("a host needs every .pub, and the .key and .sign only of the parties that work there");
  }
  return 0;
}

}  // namespace

void add_keys(Registry& registry) {
  CLI::App* keys = registry.group("keys", "Keys of the site's parties");
  CLI::App* init =
      registry.command("init",
                       "Make what is missing: a key pair for every party, a signing key for every "
                       "transfer-agent",
                       "lockstep keys init -c lockstep.yaml", keys);
  registry.on(init, [&registry] { return run_keys_init(registry.options()); });
}

}  // namespace lockstep::cli
