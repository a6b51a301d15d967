// lockstep doctor: whether this host can do its part of the site, and what is wrong where it
// cannot.
#include "services/cli/doctor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "common/clock/chrony.hpp"
#include "common/os/disk.hpp"
#include "common/os/durable.hpp"
#include "common/transport/keys.hpp"
#include "services/cli/files.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

// Below these a run may end for want of room.
constexpr std::uint64_t kLittle = std::uint64_t{1} << 30;
constexpr std::uint64_t kLeastShare = 20;  // one part in so many
// Between hosts a clock that may be this far off makes every run's skew too large.
constexpr Nanos kLargeError = milliseconds(500);

// `unjudged`: this host cannot tell, or need not have it.
enum class Health { good, warning, bad, unjudged };
struct Finding {
  std::string about;  // "clock", "key north-transfer"
  Health health = Health::good;
  std::string what;
  std::string hint;
};
using Findings = std::vector<Finding>;

const char* name_of(Health health) {
  constexpr const char* kNames[] = {"good", "warning", "bad", "unjudged"};
  return kNames[static_cast<std::size_t>(health)];
}

void look_at_clock(const Clock& clock, const config::Site& site, Findings& out) {
  const HostClock host = look_at_host_clock(clock);
  const auto& wished = site.clock.sources;
  const bool one_host = site.clusters_share_host();
  const Nanos limit = site.clock.max_error.count > 0 ? site.clock.max_error : kLargeError;
  std::string what = host.synchronised ? "synchronised" : "not synchronised";
  what += "; source " + host.source + "; its error is at most " + to_duration(host.error);
  if (one_host) {
    out.push_back({"clock", Health::good, what + "; one host needs no more", ""});
  } else if (!host.synchronised) {
    out.push_back({"clock", wished.empty() ? Health::warning : Health::bad, what,
                   "run chrony with the same source on every host"});
  } else if (!wished.empty() &&
             std::find(wished.begin(), wished.end(), host.source) == wished.end()) {
    out.push_back({"clock", Health::bad, what + "; lockstep.yaml names " + wished.front(),
                   "see `chronyc -n tracking`; runs over several hosts are refused until it "
                   "follows that"});
  } else if (host.error > limit) {
    out.push_back({"clock", site.clock.max_error.count > 0 ? Health::bad : Health::warning,
                   what + "; that is more than " + to_duration(limit),
                   "see `chronyc -n tracking`: is the source near?"});
  } else {
    out.push_back({"clock", Health::good, what, ""});
  }
}

void look_at_key(os::Disk& disk, const config::Site& site, const std::string& party,
                 Findings& out) {
  const auto known = transport::read_public_key(disk, site.keys, party);
  const auto secret = transport::read_secret_key(disk, site.keys, party);
  const std::string about = "key " + party;
  if (!known || !secret) {
    const Error& error = known ? secret.error() : known.error();
    out.push_back({about, Health::bad, error.text(), std::string(error.advice())});
  } else if (transport::public_key_of(*secret) != *known) {
    out.push_back({about, Health::bad, "the secret and the public key do not belong together",
                   "copy both from the host where `lockstep keys init` made them"});
  } else {
    out.push_back({about, Health::good, "there, and private", ""});
  }
}

bool may_be_there(os::Disk& disk, const std::string& path) {
  const auto status = disk.stat_at(os::kCwd, path);
  return status || status.error().number != ENOENT;
}

// The services that are to run on this host. Where `here` leaves none out the file may be the same
// everywhere, in containers say: then those whose secret key or whose journal is here.
std::vector<std::string> services_of_host(os::Disk& disk, const config::Site& site) {
  std::size_t all = site.control.size();
  for (const auto& [name, cluster] : site.clusters) all += cluster.agents.size();
  if (site.here.size() < all || site.keys.empty()) return site.here;
  std::vector<std::string> out;
  for (const auto& service : site.here) {
    if (may_be_there(disk, transport::secret_key_path(site.keys, service)) ||
        may_be_there(disk, site.state + "/" + service + ".db")) {
      out.push_back(service);
    }
  }
  return out;
}

bool contains(const std::vector<std::string>& list, const std::string& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

void look_at_keys(os::Disk& disk, const config::Site& site,
                  const std::vector<std::string>& services, Findings& out) {
  if (site.keys.empty()) {
    out.push_back({"keys", site.insecure ? Health::warning : Health::good,
                   site.insecure ? "none: messages travel as plain text over the network"
                                 : "none: sockets of this machine alone",
                   site.insecure ? "make them with `lockstep keys init`" : ""});
    return;
  }
  for (const auto& service : services) look_at_key(disk, site, service, out);
  std::string elsewhere;
  for (const auto& service : site.here) {
    if (!contains(services, service)) elsewhere += (elsewhere.empty() ? "" : ", ") + service;
  }
  if (elsewhere.empty()) return;
  out.push_back({"keys of others", Health::unjudged,
                 "neither the secret key nor the journal is here of " + elsewhere,
                 "one that is to run here is to stand in `here` of lockstep.yaml"});
}

// A directory's room and its file system. Not there: said, `missing` being what that means.
void look_at_directory(os::Disk& disk, const std::string& about, const std::string& path,
                       bool is_root, Findings& out) {
  auto opened = disk.open(os::kCwd, path, O_RDONLY | O_DIRECTORY);
  if (!opened) {
    const Error error =
        from_errno(ErrorCode::io, opened.error().number, "open the directory", path);
    out.push_back(
        {about, Health::bad, error.text(), "it must exist and belong to the services' user"});
    return;
  }
  const auto space = disk.space(opened->get());
  const auto system = disk.file_system(opened->get());
  if (!space || !system) {
    out.push_back({about, Health::bad, "cannot ask the file system of " + path, ""});
    return;
  }
  Finding finding{about, Health::good,
                  fmt::format("{}: {}, {} free of {}", path, system->name,
                              size_text(space->free_bytes), size_text(space->total_bytes)),
                  ""};
  if (is_root) {
    finding.what += system->name == "btrfs" ? "; pins are snapshots"
                    : system->name == "xfs" ? "; pins are reflink clones"
                                            : "; pins are copies";
  }
  if (system->read_only) {
    finding.health = Health::bad;
    finding.hint = "the file system is mounted read-only";
  } else if (space->free_bytes < kLittle || space->free_bytes < space->total_bytes / kLeastShare) {
    finding.health = Health::warning;
    finding.hint = "make room: `lockstep prune --dry-run` shows what retention would free";
  }
  out.push_back(std::move(finding));
}

void look_at_directories(os::Disk& disk, const config::Site& site,
                         const std::vector<std::string>& services, Findings& out) {
  if (services.empty()) {
    out.push_back({"state", Health::unjudged, "no service runs here", ""});
  } else {
    look_at_directory(disk, "state", site.state, false, out);
  }
  for (const auto& [name, cluster] : site.clusters) {
    const bool here = std::any_of(
        cluster.agents.begin(), cluster.agents.end(),
        [&services](const config::Agent& agent) { return contains(services, agent.name); });
    if (here) look_at_directory(disk, "root of " + name, cluster.root, true, out);
  }
}

// The directory of users, at the host of the agent that reaches it.
void look_at_users(os::Disk& disk, const config::Site& site,
                   const std::vector<std::string>& services, Findings& out) {
  for (const auto& [name, cluster] : site.clusters) {
    if (!cluster.directory || !contains(services, cluster.directory->agent)) continue;
    const std::string about = "users of " + name;
    if (!cluster.directory->ldap) {
      look_at_directory(disk, about, os::directory_of(cluster.directory->path), false, out);
      continue;
    }
    const std::string& file = cluster.directory->ldap->password_file;
    const auto status = disk.stat_at(os::kCwd, file);
    if (file.empty()) {
      out.push_back(
          {about, Health::good, cluster.directory->ldap->url + ", as the agent's user", ""});
    } else if (!status) {
      out.push_back({about, Health::bad, "the password file cannot be read: " + file,
                     "it belongs to the agent's user, mode 0600"});
    } else if ((status->st_mode & 077) != 0) {
      out.push_back(
          {about, Health::bad, "others may read the password file " + file, "chmod 0600"});
    } else {
      out.push_back({about, Health::good,
                     cluster.directory->ldap->url + ", as " + cluster.directory->ldap->bind, ""});
    }
  }
}

bool is_agent(const transport::Party& party) {
  return party.role == transport::Role::snapshot_agent ||
         party.role == transport::Role::transfer_agent;
}

// Agents ask agents: those of their own cluster, and a transfer-agent the other cluster's. The
// control device comes to them, so that a firewall may keep them from it.
bool is_asked_by(const transport::Party& asker, const transport::Party& party) {
  if (!is_agent(asker)) return true;
  if (!is_agent(party)) return false;
  return party.cluster == asker.cluster || (party.role == transport::Role::transfer_agent &&
                                            asker.role == transport::Role::transfer_agent);
}

void look_at_service(const Session& session, const std::string& name, Findings& out) {
  const auto answer = session.call(name, "ping", Body::object(), Patience::probe);
  const auto& directory = session.directory();
  if (!answer && answer.error().code == ErrorCode::unreachable &&
      !is_asked_by(directory.me(), directory.parties.at(name))) {
    out.push_back({name, Health::unjudged,
                   "does not answer " + directory.self + ", which never has to ask it", ""});
    return;
  }
  if (!answer) {
    out.push_back({name, Health::bad, answer.error().text(), std::string(answer.error().advice())});
    return;
  }
  const std::string version = field(*answer, "version");
  const bool same = version == LOCKSTEP_VERSION;
  out.push_back({name, same ? Health::good : Health::warning,
                 fmt::format("answers, version {}, since {}", version,
                             short_instant(field(*answer, "started_at"))),
                 same ? "" : "this program is " LOCKSTEP_VERSION ": bring all to one version"});
}

Result<Findings> look(const Options& options) {
  LOCKSTEP_TRY(const std::string file, config_file(options));
  LOCKSTEP_TRY(const auto site, config::load_site(file));
  const auto disk = os::make_kernel_disk();
  const auto clock = make_system_clock();
  Findings findings{{"configuration", Health::good, site.file, ""}};
  look_at_clock(*clock, site, findings);
  const auto services = services_of_host(*disk, site);
  look_at_keys(*disk, site, services, findings);
  look_at_directories(*disk, site, services, findings);
  look_at_users(*disk, site, services, findings);
  if (const auto session = Session::open(options)) {
    for (const auto& [name, party] : session->directory().parties) {
      if (!party.endpoint.empty()) look_at_service(*session, name, findings);
    }
  } else {
    findings.push_back(
        {"services", Health::bad, session.error().text(), std::string(session.error().advice())});
  }
  return findings;
}

Body body_of(const Findings& findings) {
  Body list = Body::array();
  bool bad = false;
  for (const auto& one : findings) {
    bad = bad || one.health == Health::bad;
    list.push_back({{"about", one.about},
                    {"health", name_of(one.health)},
                    {"what", one.what},
                    {"hint", one.hint}});
  }
  return {{"version", LOCKSTEP_VERSION}, {"ok", !bad}, {"findings", std::move(list)}};
}

void print_findings(const Findings& findings) {
  Table table{{"", "", ""}};
  for (const auto& one : findings) {
    const Colour colour = one.health == Health::good  ? Colour::good
                          : one.health == Health::bad ? Colour::bad
                                                      : Colour::warn;
    table.row({paint(colour, name_of(one.health)), one.about,
               safe(one.hint.empty() ? one.what : one.what + "; " + one.hint)});
  }
  print("lockstep " LOCKSTEP_VERSION "\n" + table.text());
}

Result<int> run_doctor(const Options& options) {
  LOCKSTEP_TRY(const Findings findings, look(options));
  const Body body = body_of(findings);
  if (options.json) {
    print_json(body);
  } else {
    print_findings(findings);
  }
  return body.at("ok").get<bool>() ? 0 : 1;
}

}  // namespace

Result<Body> examine(const Options& options) {
  LOCKSTEP_TRY(const Findings findings, look(options));
  return body_of(findings);
}

void add_doctor(Registry& registry) {
  CLI::App* command =
      registry.command("doctor", "Check this host: clock, keys, directories, services",
                       "lockstep doctor -c lockstep.yaml");
  registry.takes_json(command);
  registry.on(command, [&registry] { return run_doctor(registry.options()); });
}

}  // namespace lockstep::cli
