// lockstep support-bundle: what a maintainer needs to understand a site, in one file, without
// secrets.
#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include "common/config/files.hpp"
#include "common/message/bytes.hpp"
#include "common/os/durable.hpp"
#include "common/os/whole_file.hpp"
#include "services/cli/doctor.hpp"
#include "services/cli/files.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"
#include "services/cli/tar.hpp"

namespace lockstep::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostOfALog = 1 << 20;
constexpr int kRuns = 200;
constexpr std::uint64_t kEvents = 1000;

// Collects files; what holds a secret of this host does not get in, whoever wrote it there.
class Bundle {
 public:
  explicit Bundle(UtcNanos now) : now_(now) {}

  void never(std::string secret) {
    if (secret.size() >= 16) secrets_.push_back(std::move(secret));
  }
  void add(const std::string& name, std::string text) {
    for (const auto& secret : secrets_) {
      for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) {
        text.replace(at, secret.size(), "(a secret, taken out)");
      }
    }
    tar_.add("lockstep-support/" + name, text, now_);
    names_.push_back(name);
  }
  void add(const std::string& name, const Result<Body>& answer) {
    const Body body = answer ? *answer : Body{{"error", message::error_body(answer.error())}};
    add(name, message::showable(body).dump(1) + "\n");
  }
  const std::vector<std::string>& names() const { return names_; }
  std::string bytes() const { return tar_.bytes(); }

 private:
  UtcNanos now_;
  std::vector<std::string> secrets_;
  std::vector<std::string> names_;
  Tar tar_;
};

// Every secret that this host could give away: keys, signing keys, the gateway's token.
void learn_secrets(os::Disk& disk, const config::Site& site, Bundle& out) {
  std::vector<std::string> files;
  if (site.gateway && !site.gateway->token_file.empty()) files.push_back(site.gateway->token_file);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(site.keys, error)) {
    if (entry.path().extension() != ".pub") files.push_back(entry.path().string());
  }
  for (const auto& file : files) {
    auto text = os::read_whole(disk, file, ErrorCode::key_unreadable);
    if (!text) continue;
    // Line by line: the middle of a PEM file is its secret.
    std::size_t start = 0;
    for (std::size_t end = 0; end != std::string::npos; start = end + 1) {
      end = text->find('\n', start);
      const std::string line = text->substr(start, end == std::string::npos ? end : end - start);
      if (!line.starts_with("-----")) out.never(line);
    }
  }
}

void add_host(const config::Site& site, Bundle& out) {
  ::utsname system{};
  ::uname(&system);
  out.add("host.txt", fmt::format("lockstep {}\n{} {} {} {}\n", LOCKSTEP_VERSION, system.sysname,
                                  system.release, system.version, system.machine));
  std::string keys;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(site.keys, error)) {
    const auto mode = static_cast<unsigned>(entry.status().permissions());
    keys += fmt::format("{:04o} {} bytes {}\n", mode, entry.file_size(error),
                        entry.path().filename().string());
  }
  out.add("keys.txt", "names and modes alone:\n" + keys);
}

void add_files(os::Disk& disk, const config::Site& site, Bundle& out) {
  for (const char* path : {"/proc/self/mounts", "/proc/meminfo", "/proc/loadavg"}) {
    if (auto text = read_small_file(disk, path)) {
      out.add("proc/" + fs::path{path}.filename().string(), std::move(*text));
    }
  }
  if (auto text = config::load_file(site.file)) out.add("lockstep.yaml", std::move(text->text));
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(site.state + "/log", error)) {
    auto text = os::read_whole(disk, entry.path().string(), ErrorCode::io);
    if (!text) continue;
    if (text->size() > kMostOfALog) text->erase(0, text->size() - kMostOfALog);
    out.add("log/" + entry.path().filename().string(), std::move(*text));
  }
}

Result<Body> newest_events(const Session& session, const std::string& source) {
  LOCKSTEP_TRY(const Body ends, session.call(source, "events.since",
                                             {{"sequence", 0}, {"limit", 1}}, Patience::probe));
  const auto last = ends.at("last").get<std::uint64_t>();
  return session.call(source, "events.since",
                      {{"sequence", last > kEvents ? last - kEvents : 0},
                       {"incarnation", ends.at("incarnation")},
                       {"limit", kEvents}});
}

void add_services(const Session& session, Bundle& out) {
  const Body nothing = Body::object();
  struct Question {
    const char* file;
    const char* service;
    const char* type;
    Body body;
  };
  const Question questions[] = {{"status", "scheduler", "status", nothing},
                                {"runs", "scheduler", "run.list", {{"limit", kRuns}}},
                                {"points", "scheduler", "point.catalog", nothing},
                                {"policies", "policy", "policy.all", nothing},
                                {"client", "health-monitor", "client.show", nothing}};
  for (const auto& question : questions) {
    if (session.directory().find(question.service) == nullptr) continue;
    out.add(std::string{"services/"} + question.file + ".json",
            session.call(question.service, question.type, question.body, Patience::probe));
  }
  for (const auto& [name, party] : session.directory().parties) {
    if (party.endpoint.empty()) continue;
    out.add("events/" + name + ".json", newest_events(session, name));
    if (party.role == transport::Role::snapshot_agent) {
      out.add("holds/" + name + ".json",
              session.call(name, "snapshot.holds", nothing, Patience::probe));
    }
  }
}

Result<int> run_bundle(const Options& options, std::string to) {
  LOCKSTEP_TRY(const std::string file, config_file(options));
  LOCKSTEP_TRY(const auto site, config::load_site(file));
  const auto disk = os::make_kernel_disk();
  const auto clock = make_system_clock();
  const UtcNanos now = clock->utc();
  if (to.empty()) {
    to = "lockstep-support-" + to_rfc3339(now).substr(0, 19) + ".tar";
    std::replace(to.begin(), to.end(), ':', '-');
  }
  LOCKSTEP_TRY(const std::string path, absolute(to));
  if (os::exists(*disk, path)) {
    return make_error(ErrorCode::place_not_empty, "there is a file of this name", path,
                      "name another by --to");
  }
  Bundle bundle{now};
  learn_secrets(*disk, site, bundle);
  add_host(site, bundle);
  add_files(*disk, site, bundle);
  LOCKSTEP_TRY(const Body findings, examine(options));
  bundle.add("doctor.json", Result<Body>(findings));
  // Where nothing answers, the rest is worth having all the more.
  if (const auto session = Session::open(options)) add_services(*session, bundle);
  LOCKSTEP_CHECK(os::write_durably(*disk, path, bundle.bytes(), {.mode = 0600}));
  if (options.json) {
    print_json({{"file", path}, {"holds", bundle.names()}});
  } else {
    print(fmt::format("{}: {} files, without keys and tokens; look through it before you send it",
                      path, bundle.names().size()));
  }
  return 0;
}

}  // namespace

void add_bundle(Registry& registry) {
  auto to = std::make_shared<std::string>();
  CLI::App* command =
      registry.command("support-bundle", "Collect what a maintainer needs, without secrets",
                       "lockstep support-bundle --to lockstep.tar -c lockstep.yaml");
  command->add_option("--to", *to, "The file that is made (default: named by the time)")
      ->type_name("FILE");
  registry.takes_json(command);
  registry.on(command, [&registry, to] { return run_bundle(registry.options(), *to); });
}

}  // namespace lockstep::cli
