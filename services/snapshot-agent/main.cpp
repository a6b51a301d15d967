// lockstep-snapshot-agent --config FILE --name NAME: pins the data sets of its cluster.
#include <unistd.h>

#include "common/components/files/files.hpp"
#include "common/components/hbase/hbase.hpp"
#include "common/components/hdfs/hdfs.hpp"
#include "common/components/sqlite/sqlite.hpp"
#include "common/components/users/users.hpp"
#include "common/service/identity_body.hpp"
#include "common/service/identity_follower.hpp"
#include "common/service/identity_site.hpp"
#include "common/service/service.hpp"
#include "common/users/embedded/embedded.hpp"
#include "common/users/ldap/ldap.hpp"
#include "services/snapshot-agent/agent.hpp"
#include "services/snapshot-agent/user_desk.hpp"

namespace {

using namespace lockstep;

// What the agent works with, in the order in which it is taken apart last.
struct Whole {
  component::Components components;
  std::optional<snapshot::Tools> tools;
  std::shared_ptr<snapshot::Agent> agent;
  std::unique_ptr<service::IdentityFollower> identity;
  std::unique_ptr<snapshot::UserDesk> users;  // of the agent that reaches the cluster's directory
};

std::unique_ptr<users::Store> make_store(const config::UserStore& directory) {
  if (!directory.ldap) return users::make_embedded(directory.path);
  const config::Ldap& ldap = *directory.ldap;
  return users::make_ldap({ldap.url, ldap.base, ldap.bind, ldap.password_file, ldap.users,
                           ldap.groups, ldap.roles, ldap.lock_attribute, ldap.lock_value});
}

// Where the cluster has a directory, one of its snapshot-agents reaches it.
void serve_users(service::Surroundings& here, Whole& whole) {
  const auto& cluster = here.site.clusters.at(here.directory.me().cluster);
  if (!cluster.directory || cluster.directory->agent != here.name) return;
  const auto primary = [&here, &whole]() -> std::pair<std::uint64_t, std::string> {
    const auto known = whole.identity ? whole.identity->current()
                                      : std::optional(service::first_decision(here.site));
    return known ? std::pair(known->number, known->primary)
                 : std::pair<std::uint64_t, std::string>{};
  };
  whole.users = std::make_unique<snapshot::UserDesk>(
      here, make_store(*cluster.directory),
      snapshot::UserDesk::Agent{
          [agent = whole.agent.get()](const message::Epoch& given) { return agent->admit(given); },
          primary});
  whole.users->serve();
}

// The guard lies beside this program.
Result<std::string> guard_program(os::Disk& disk) {
  auto self = disk.read_link(os::kCwd, "/proc/self/exe");
  if (!self)
    return from_errno(ErrorCode::io, self.error().number, "read the link", "/proc/self/exe");
  return self->substr(0, self->find_last_of('/') + 1) + "lockstep-fence-guard";
}

Result<std::shared_ptr<void>> set_up(service::Surroundings& here) {
  const std::string state = here.site.state + "/" + here.name;
  auto made = here.disk.make_directory(os::kCwd, state, 0700);
  if (!made && made.error().number != EEXIST) {
    return from_errno(ErrorCode::io, made.error().number, "make the directory", state);
  }
  LOCKSTEP_TRY(const std::string guard, guard_program(here.disk));
  auto whole = std::make_shared<Whole>();
  const component::Surroundings surroundings{here.disk, here.processes, here.clock, state};
  whole->components.add(files::make_files(surroundings));
  whole->components.add(sqlite::make_sqlite(surroundings));
  const config::Cluster& cluster = here.site.clusters.at(here.directory.me().cluster);
  user_data::OpenStore open;
  if (cluster.directory && cluster.directory->agent == here.name) {
    open = [directory = *cluster.directory] { return make_store(directory); };
  }
  whole->components.add(user_data::make_users(surroundings, std::move(open)));
  if (const auto& hdfs = cluster.hdfs) {
    const hdfs::Settings settings{hdfs->namenodes, hdfs->user, hdfs->connections, hdfs->patience,
                                  hdfs->ca};
    whole->components.add(hdfs::make_hdfs(surroundings, settings));
    if (const auto& hbase = cluster.hbase) {
      whole->components.add(
          hbase::make_hbase(surroundings, {hbase->classpath, hbase->java, hbase->user, settings}));
    }
  }
  whole->tools.emplace(snapshot::Tools{here.name, state, here.site.hooks, guard, here.disk,
                                       here.processes, here.clock, here.journal,
                                       whole->components});
  LOCKSTEP_TRY(whole->agent,
               snapshot::Agent::start(*whole->tools, {here.reactor, here.server, here.events,
                                                      service::first_epoch(here.site), here.fail}));
  here.epoch = [agent = whole->agent.get()] { return agent->epoch(); };
  const auto* registrar = here.site.registrar(here.directory.me().cluster);
  if (registrar != nullptr && !service::health_monitor_of(here.site).empty()) {
    whole->identity = std::make_unique<service::IdentityFollower>(here, registrar->name);
    whole->identity->on_change = [agent = whole->agent.get()](const identity::Decision& decision) {
      agent->learn(service::epoch_of(decision));
    };
    whole->identity->follow();
  }
  serve_users(here, *whole);
  return std::shared_ptr<void>(std::move(whole));
}

}  // namespace

int main(int argc, char** argv) {
  return lockstep::service::run(argc, argv, lockstep::transport::Role::snapshot_agent,
                                lockstep::snapshot::migrations(), set_up);
}
