#include "services/transfer-agent/service.hpp"

#include <spdlog/spdlog.h>

#include "common/components/files/files.hpp"
#include "common/components/hbase/hbase.hpp"
#include "common/components/hdfs/hdfs.hpp"
#include "common/components/sqlite/sqlite.hpp"
#include "common/components/users/users.hpp"
#include "common/os/durable.hpp"
#include "common/service/identity_body.hpp"
#include "common/service/identity_follower.hpp"
#include "common/service/identity_site.hpp"
#include "common/service/log.hpp"
#include "common/transport/context.hpp"
#include "common/transport/sockets.hpp"
#include "services/transfer-agent/activate.hpp"
#include "services/transfer-agent/divergence.hpp"
#include "services/transfer-agent/drill.hpp"
#include "services/transfer-agent/points.hpp"
#include "services/transfer-agent/removal.hpp"
#include "services/transfer-agent/restore.hpp"
#include "services/transfer-agent/seal.hpp"
#include "services/transfer-agent/steps.hpp"
#include "services/transfer-agent/transfers.hpp"

namespace lockstep::transfer {

using message::Body;
using message::Envelope;
using transport::Role;

namespace {

stream::Wire make_wire(const std::shared_ptr<transport::Context>& context,
                       const transport::Directory& directory) {
  stream::Wire wire;
  wire.context = context->raw();
  wire.secure_server = [context, &directory](void* socket) {
    return transport::secure_server(*context, socket, directory);
  };
  wire.secure_client = [&directory](void* socket, const std::string& server_key) {
    return transport::secure_client(socket, directory, server_key);
  };
  return wire;
}

hdfs::JobSettings settings_of(const config::HadoopJobs& jobs) {
  return {jobs.classpath, jobs.resourcemanagers, jobs.java, jobs.queue,
          jobs.maps,      jobs.bandwidth,        jobs.from};
}

hdfs::Settings settings_of(const config::Hdfs& hdfs) {
  hdfs::Settings out{hdfs.namenodes, hdfs.user, hdfs.connections,
                     hdfs.patience,  hdfs.ca,   hdfs.filesystem};
  if (hdfs.distcp) out.distcp = settings_of(*hdfs.distcp);
  return out;
}

// Requires a cluster that has HBase, and with it HDFS.
hbase::Settings hbase_settings_of(const config::Cluster& cluster) {
  const config::HBase& hbase = cluster.hbase.value();
  hbase::Settings out{hbase.classpath, hbase.java, hbase.user, settings_of(cluster.hdfs.value()),
                      hbase.rootdir};
  if (hbase.exportsnapshot) out.exportsnapshot = settings_of(*hbase.exportsnapshot);
  return out;
}

// Members are destroyed from the last to the first: the tasks end before what they work with.
class TransferAgent {
 public:
  TransferAgent(service::Surroundings& here, const config::Cluster& cluster,
                const std::string& state, std::unique_ptr<EpochKeeper> epochs,
                signing::SigningKey key)
      : context_(transport::process_context()),
        agent_{here.name, cluster.name, cluster.root, cluster.lock, here.directory.me().registrar,
               here.disk, here.clock,   here.journal, components_},
        epochs_(std::move(epochs)),
        key_(std::move(key)),
        book_(here.journal),
        records_(agent_),
        sealer_(agent_, book_, records_, *epochs_, key_),
        transfers_(agent_, book_, records_, *epochs_, here.directory, tasks_,
                   make_wire(context_, here.directory)),
        drills_(agent_, records_, here.processes),
        remover_(agent_, book_, records_, *epochs_, tasks_, drills_),
        steps_(
            here.reactor, here.server, here.journal, tasks_, [&here] { here.events.flush(); },
            here.fail),
        surroundings_{here.disk, here.processes, here.clock, state} {
    components_.add(files::make_files(surroundings_));
    components_.add(sqlite::make_sqlite(surroundings_));
    components_.add(user_data::make_users(surroundings_));
    if (const auto& hdfs = cluster.hdfs) {
      std::map<std::string, hdfs::Settings> clusters;  // an engine reaches both
      for (const auto& [name, other] : here.site.clusters) {
        if (other.hdfs) clusters.emplace(name, settings_of(*other.hdfs));
      }
      components_.add(hdfs::make_hdfs(surroundings_, settings_of(*hdfs), clusters));
    }
    if (cluster.hbase) {
      std::map<std::string, hbase::Settings> clusters;
      for (const auto& [name, other] : here.site.clusters) {
        if (other.hbase) clusters.emplace(name, hbase_settings_of(other));
      }
      components_.add(hbase::make_hbase(surroundings_, hbase_settings_of(cluster), clusters));
    }
    std::vector<StoreWatch::Store> stores;
    for (const std::string& kind : components_.kinds()) {
      stores.push_back(
          {kind, [component = components_.find(kind)] { return component->store_health(); }});
    }
    const auto place = [this](const component::DataSet& set) {
      auto* component = components_.find(set.component);
      if (component != nullptr) return component->health(set);
      return component::Health{false, "this agent has no component " + set.component};
    };
    stores_ = std::make_unique<StoreWatch>(std::move(stores), place, here.clock);
    here.epoch = [this] { return epochs_->known() ? epochs_->current() : message::Epoch{}; };
  }

  ~TransferAgent() {
    bulk_.reset();  // no stream arrives any more
    tasks_.shut_down();
  }
  TransferAgent(const TransferAgent&) = delete;
  TransferAgent& operator=(const TransferAgent&) = delete;

  Result<void> recover() {
    LOCKSTEP_CHECK(sealer_.recover());
    LOCKSTEP_CHECK(drills_.recover());
    return remover_.recover();
  }

  void serve();
  Result<void> take_part_in_identity(service::Surroundings& here);

  Result<void> listen(const service::Surroundings& here) {
    const std::string& endpoint = here.directory.me().bulk;
    LOCKSTEP_CHECK(transport::check_plain_text(here.directory, endpoint));
    LOCKSTEP_CHECK(transport::check_bindable(endpoint));
    LOCKSTEP_TRY(bulk_,
                 stream::make_bulk_server(make_wire(context_, here.directory), endpoint, here.clock,
                                          [this](std::unique_ptr<stream::Arrival> arrival) {
                                            transfers_.arrived(std::move(arrival));
                                          }));
    return {};
  }

 private:
  std::shared_ptr<transport::Context> context_;
  component::Components components_;
  Agent agent_;
  std::unique_ptr<EpochKeeper> epochs_;
  signing::SigningKey key_;
  Book book_;
  RecordStore records_;
  Tasks tasks_;
  std::mutex activating_;
  Sealer sealer_;
  Transfers transfers_;
  Drills drills_;
  Remover remover_;
  Steps steps_;
  component::Surroundings surroundings_;
  std::unique_ptr<StoreWatch> stores_;
  std::unique_ptr<stream::BulkServer> bulk_;
  std::unique_ptr<service::IdentitySite> identity_;      // of the cluster's registrar
  std::unique_ptr<service::IdentityFollower> follower_;  // of every other transfer-agent
};

// The registrar is its cluster's site of the agreement; the others learn from it.
Result<void> TransferAgent::take_part_in_identity(service::Surroundings& here) {
  if (service::health_monitor_of(here.site).empty()) return {};
  if (!agent_.registrar) {
    const auto* registrar = here.site.registrar(agent_.cluster);
    follower_ = std::make_unique<service::IdentityFollower>(here, registrar->name);
    follower_->on_change = [this](const identity::Decision& decision) {
      tasks_.start({}, [this, decision](Tasks::Id, std::stop_token) {
        if (auto raised = epochs_->raise(service::epoch_of(decision)); !raised) {
          service::log_error(raised.error());
        }
      });
    };
    follower_->follow();
    return {};
  }
  // A publishing in flight is waited for, so not on the reactor's thread.
  const auto raise = [this, &here](const identity::Decision& decision,
                                   service::IdentitySite::Done done) {
    tasks_.start({}, [this, &here, decision, done = std::move(done)](Tasks::Id, std::stop_token) {
      auto raised = epochs_->raise(service::epoch_of(decision));
      if (raised) epochs_->set_known(true);
      here.reactor.post([done, raised = std::move(raised)] { done(raised); });
    });
  };
  LOCKSTEP_TRY(identity_, service::IdentitySite::load(here, agent_.cluster, raise));
  epochs_->set_known(identity_->current().has_value());
  identity_->serve();
  return {};
}

void TransferAgent::serve() {
  const std::set<Role> scheduler{Role::scheduler};
  const std::set<Role> readers{Role::scheduler, Role::user};
  constexpr Steps::Kind kLong{true, false, false};
  constexpr Steps::Kind kShort{false, false, false};

  steps_.serve("instruction.push", scheduler, kLong,
               [this](const Envelope& envelope, std::stop_token stop, ProgressBoard& board) {
                 return transfers_.carry_out(envelope, Part::send, stop, board);
               });
  steps_.serve("instruction.pull", scheduler, kLong,
               [this](const Envelope& envelope, std::stop_token stop, ProgressBoard& board) {
                 return transfers_.carry_out(envelope, Part::receive, stop, board);
               });
  steps_.serve("transfer.drop", scheduler, {false, true, true},
               [this](const Envelope& envelope, std::stop_token, ProgressBoard&) {
                 return remover_.drop_run(envelope);
               });
  steps_.serve("transfer.keep", scheduler, {false, true, false},
               [this](const Envelope& envelope, std::stop_token, ProgressBoard&) {
                 return remover_.keep_run(envelope);
               });
  steps_.serve("point.seal", scheduler, {false, true, false},
               [this](const Envelope& envelope, std::stop_token, ProgressBoard&) {
                 return sealer_.seal(envelope);
               });
  steps_.serve("point.delete", readers, {false, true, true},
               [this](const Envelope& envelope, std::stop_token, ProgressBoard&) {
                 return remover_.delete_point(envelope);
               });
  steps_.serve("divergence.list", scheduler, kLong,
               [this](const Envelope& envelope, std::stop_token stop, ProgressBoard& board) {
                 return list_divergence(agent_, book_, envelope.body, stop, board);
               });
  const std::set<Role> monitor{Role::health_monitor};
  steps_.serve("point.activate", monitor, {true, false, true},
               [this](const Envelope& envelope, std::stop_token stop, ProgressBoard& board) {
                 const std::scoped_lock one_at_a_time(activating_);
                 return activate_point(agent_, records_, *epochs_, envelope, stop, board);
               });
  steps_.serve("cluster.health", monitor, kShort,
               [this](const Envelope& envelope, std::stop_token, ProgressBoard&) {
                 return look_at_health(agent_, *stores_, envelope.body);
               });
  const std::set<Role> listers{Role::scheduler, Role::health_monitor, Role::user};
  steps_.serve("point.list", listers, kShort,
               [this](const Envelope& envelope, std::stop_token, ProgressBoard&) {
                 return list_points(book_, records_, envelope.body);
               });
  steps_.serve("point.read", readers, kShort,
               [this](const Envelope& envelope, std::stop_token, ProgressBoard&) {
                 return read_point(records_, envelope.body);
               });
  // Its reply is never stored: password hashes stand in it.
  steps_.serve("point.users", scheduler, {false, true, true},
               [this](const Envelope& envelope, std::stop_token, ProgressBoard&) {
                 return read_user_data(agent_, records_, envelope.body);
               });
  steps_.serve("point.entries", readers, kShort,
               [this](const Envelope& envelope, std::stop_token, ProgressBoard&) {
                 return list_entries(agent_, records_, envelope.body);
               });
  steps_.serve("point.verify", readers, kLong,
               [this](const Envelope& envelope, std::stop_token stop, ProgressBoard& board) {
                 return verify_point(agent_, records_, envelope.body, stop, board);
               });
  steps_.serve("point.drill", readers, kLong,
               [this](const Envelope& envelope, std::stop_token stop, ProgressBoard& board) {
                 return drills_.drill(envelope, stop, board);
               });
  steps_.serve("drill.list", readers, kShort,
               [this](const Envelope& envelope, std::stop_token, ProgressBoard&) {
                 return drills_.list(envelope.body);
               });
  steps_.serve(
      "point.restore", readers, kLong,
      [this](const Envelope& envelope, std::stop_token stop, ProgressBoard& board) -> Result<Body> {
        // In place is a live path: nothing is put there under an old epoch.
        if (envelope.body.at("in_place").get<bool>()) {
          LOCKSTEP_CHECK(epochs_->admit(envelope.epoch));
        }
        return restore_point(agent_, records_, envelope, stop, board);
      });
}

}  // namespace

Result<std::shared_ptr<void>> set_up(service::Surroundings& here) {
  const auto& me = here.directory.me();
  const auto cluster = here.site.clusters.find(me.cluster);
  if (cluster == here.site.clusters.end()) {
    return make_error(ErrorCode::config_bad_value, "the agent belongs to no cluster", here.name);
  }
  const std::string state = here.site.state + "/" + here.name;
  LOCKSTEP_CHECK(os::make_directories(here.disk, state));
  LOCKSTEP_TRY(auto epochs, EpochKeeper::load(here.journal, service::first_epoch(here.site)));
  const std::string& keys = here.site.keys.empty() ? state : here.site.keys;
  LOCKSTEP_TRY(auto key, signing::SigningKey::load_or_make(here.disk, keys, here.name));
  auto agent = std::make_shared<TransferAgent>(here, cluster->second, state, std::move(epochs),
                                               std::move(key));
  LOCKSTEP_CHECK(agent->recover());
  agent->serve();
  LOCKSTEP_CHECK(agent->take_part_in_identity(here));
  LOCKSTEP_CHECK(agent->listen(here));
  return std::shared_ptr<void>(std::move(agent));
}

}  // namespace lockstep::transfer
