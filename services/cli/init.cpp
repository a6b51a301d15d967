// lockstep init: a one-machine site of two clusters.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/config/reader.hpp"
#include "common/config/site.hpp"
#include "common/message/uuid.hpp"
#include "common/os/durable.hpp"
#include "common/os/fd.hpp"
#include "services/cli/files.hpp"
#include "services/cli/key_files.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"

namespace lockstep::cli {

namespace {

namespace fs = std::filesystem;

struct Init {
  std::string directory;
  bool local = false;
  bool without_keys = false;
  std::vector<std::string> clusters{"north", "south"};
};

constexpr std::size_t kMaxSocketPath = 107;  // sockaddr_un, unix(7)

// Where the sockets lie: `run` beside the file where the longest of their names fits, else a
// private directory of its own.
Result<std::string> socket_directory(os::Disk& disk, const Init& init, const std::string& home) {
  std::size_t longest = std::string{"/health-monitor-events"}.size();
  for (const auto& cluster : init.clusters) {
    longest = std::max(longest, cluster.size() + std::string{"/-transfer-events"}.size());
  }
  if (home.size() + std::string{"/run"}.size() + longest <= kMaxSocketPath) return {"run"};
  std::vector<std::string> places;
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime == '/') {
    places.emplace_back(runtime);
  }
  if (::geteuid() == 0) places.emplace_back("/run");
  places.emplace_back("/tmp");
  for (const auto& place : places) {
    const std::string id = message::make_uuid7(make_system_clock()->utc());
    const std::string path = place + "/lockstep-" + id.substr(id.size() - 12);
    if (path.size() + longest > kMaxSocketPath) continue;
    if (disk.make_directory(os::kCwd, path, 0700)) return path;
  }
  return make_error(ErrorCode::target_write,
                    "no directory is short enough, or may be made, for the sockets", home,
                    "choose a DIR with a shorter path");
}

std::string agents_of(const std::string& cluster, const std::string& run) {
  std::string out;
  const auto add = [&](const std::string& kind, bool moves) {
    const std::string name = cluster + "-" + kind;
    out += fmt::format("      {}:\n        role: {}-agent\n        endpoint: \"ipc://{}/{}\"\n",
                       name, kind, run, name);
    if (moves) out += fmt::format("        bulk: \"ipc://{}/{}-bulk\"\n", run, name);
    out += fmt::format("        events: \"ipc://{}/{}-events\"\n", run, name);
    if (moves) out += "        registrar: true\n";
  };
  add("snapshot", false);
  add("transfer", true);
  return out;
}

// A port of 127.0.0.1 that nobody listens on now. Should somebody take it before the gateway does,
// the gateway says so and tries again.
int free_port() {
  constexpr int kUsual = 9480;
  for (const int wanted : {kUsual, 0}) {
    const os::Fd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ::sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(wanted));
    auto* generic = static_cast<::sockaddr*>(static_cast<void*>(&address));
    ::socklen_t size = sizeof address;
    if (socket && ::bind(socket.get(), generic, size) == 0 &&
        ::getsockname(socket.get(), generic, &size) == 0) {
      return ntohs(address.sin_port);
    }
  }
  return kUsual;
}

std::string gateway_of(const std::string& run, int port) {
  return fmt::format(
      "  gateway:\n    endpoint: \"ipc://{0}/gateway\"\n    events: \"ipc://{0}/gateway-events\"\n"
      "    feed: \"ipc://{0}/feed\"       # events for outsiders\n"
      "    http: \"127.0.0.1:{1}\"      # metrics and status page\n",
      run, port);
}

std::string site_text(const Init& init, const std::string& run, const std::string& promotion) {
  std::string out =
      "# A one-machine site, made by `lockstep init`. docs/configuration.md has every key.\n"
      "lockstep: 1\n"
      "site: here\n"
      "state: var                 # journals, pid files, logs\n"
      "hooks: hooks               # programs that `fence: {hook: NAME}` names\n";
  if (!init.without_keys) out += "keys: keys\n";
  out += fmt::format("first_promotion: {}\ncontrol:\n", promotion);
  for (const char* name : {"policy", "scheduler", "health-monitor"}) {
    out += fmt::format("  {}:\n    endpoint: \"ipc://{}/{}\"\n    events: \"ipc://{}/{}-events\"\n",
                       name, run, name, run, name);
  }
  out += gateway_of(run, free_port());
  out += "clusters:\n";
  for (std::size_t i = 0; i < init.clusters.size(); ++i) {
    const auto& name = init.clusters[i];
    out += fmt::format("  {}:\n    root: {}\n    identity: {}\n    agents:\n{}", name, name,
                       i == 0 ? "primary" : "secondary", agents_of(name, run));
  }
  out += "limits: {runs_per_cluster: 2}\narm_ahead: 2s\nlog: {format: text, level: info}\n";
  return out;
}

Result<void> check_names(const Init& init) {
  if (init.clusters.size() != 2 || init.clusters[0] == init.clusters[1]) {
    return make_error(ErrorCode::usage, "a site has two clusters",
                      fmt::format("{}", fmt::join(init.clusters, ",")),
                      "--clusters north,south: the first is the primary");
  }
  static const std::vector<std::string> kTaken{"var", "run", "keys", "hooks", "lockstep"};
  for (const auto& name : init.clusters) {
    const bool taken = std::find(kTaken.begin(), kTaken.end(), name) != kTaken.end();
    if (!config::is_name(name) || name.size() > 40 || taken || config::plain_scalar_trap(name)) {
      return make_error(
          ErrorCode::usage, "not a name for a cluster", name,
          "small letters, digits and `-`, at most 40, not a directory of the site's own "
          "and no number");
    }
  }
  return {};
}

Result<int> run_init(const Init& init) {
  if (!init.local) {
    return make_error(ErrorCode::usage, "this version makes sites of one machine", {},
                      "add --local; for several hosts write the file by docs/configuration.md and "
                      "make the keys with `lockstep keys init`");
  }
  LOCKSTEP_CHECK(check_names(init));
  LOCKSTEP_TRY(const std::string given, absolute(init.directory));
  const auto disk = os::make_kernel_disk();
  LOCKSTEP_CHECK(os::make_directories(*disk, given, 0755, 0755));
  std::error_code error;
  const std::string home = fs::canonical(given, error).string();
  if (error) return from_errno(ErrorCode::io, error.value(), "open the directory", given);
  const std::string file = home + "/lockstep.yaml";
  if (os::exists(*disk, file)) {
    return make_error(ErrorCode::place_not_empty, "a site is there already", file,
                      "choose another directory, or remove the file");
  }
  LOCKSTEP_TRY(const std::string run, socket_directory(*disk, init, home));
  for (const auto& [name, mode] : std::vector<std::pair<std::string, mode_t>>{
           {"var", 0700}, {"hooks", 0755}, {init.clusters[0], 0755}, {init.clusters[1], 0755}}) {
    LOCKSTEP_CHECK(os::make_directories(*disk, home + "/" + name, mode, 0755));
  }
  if (run == "run") LOCKSTEP_CHECK(os::make_directories(*disk, home + "/run", 0700, 0755));

  const std::string text = site_text(init, run, message::make_uuid7(make_system_clock()->utc()));
  LOCKSTEP_TRY(const auto site, config::parse_site(text, file, file));
  if (!init.without_keys) {
    LOCKSTEP_CHECK(os::make_directories(*disk, site.keys, 0700, 0755));
    LOCKSTEP_TRY(const auto made, make_keys(*disk, site));
    (void)made;
  }
  // Last: a site exists when its file does.
  LOCKSTEP_CHECK(os::write_durably(*disk, file, text, {.mode = 0644}));
  print(
      fmt::format("made {}: {} (primary) and {} (secondary)\n"
                  "next:  lockstep up -c {} --detach",
                  file, init.clusters[0], init.clusters[1], file));
  return 0;
}

}  // namespace

void add_init(Registry& registry) {
  auto init = std::make_shared<Init>();
  CLI::App* command =
      registry.bare_command("init", "Make a one-machine site: configuration, keys, two clusters",
                            "lockstep init demo --local --clusters north,south");
  command->add_option("DIR", init->directory, "Where it is made")->required();
  command->add_flag("--local", init->local, "Both clusters on this machine, by ipc");
  command->add_option("--clusters", init->clusters, "Their names; the first is the primary")
      ->delimiter(',')
      ->capture_default_str();
  command->add_flag("--without-keys", init->without_keys,
                    "Plain text on the sockets, which only their owner may open");
  registry.on(command, [init] { return run_init(*init); });
}

}  // namespace lockstep::cli
