// lockstep.yaml: one site's configuration (docs/configuration.md; samples in docs/samples).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock/moment.hpp"
#include "common/config/clock_wish.hpp"
#include "common/config/hadoop.hpp"
#include "common/config/user_data.hpp"
#include "common/error/error.hpp"
#include "common/transport/peer.hpp"

namespace lockstep::config {

struct Agent {
  std::string name;  // unique over the site: "north-snapshot"
  transport::Role role = transport::Role::snapshot_agent;
  std::string endpoint;  // control
  std::string bulk;      // transfer-agents only
  std::string events;
  bool registrar = false;  // the transfer-agent: this version takes one a cluster
};

struct Cluster {
  std::string name;  // "north"
  std::string root;  // absolute: where data sets lie whose place the policy leaves out
  bool initially_primary = false;
  Nanos lock;                // a point younger than this is not deleted by this cluster's registrar
  std::optional<Hdfs> hdfs;  // nothing: the cluster has none
  std::optional<UserStore> directory;  // of users; nothing: the cluster has none
  std::optional<HBase> hbase;          // nothing: the cluster has none
  std::vector<Agent> agents;
};

struct ControlService {
  std::string name;  // "policy", "scheduler"
  std::string endpoint;
  std::string events;
};

// What the gateway offers to outsiders, besides what every service has.
struct Gateway {
  std::string feed;             // XPUB: every service's events
  std::int64_t keep = 100'000;  // events of each service that can be replayed
  std::string http;             // "HOST:PORT" of metrics and status page; empty: none
  std::string token_file;       // absolute; whoever asks by HTTP shows what stands in it
};

// What `lockstep inject` may do to this site: nothing, unless its file says so.
struct Injection {
  // `from` reaches `to` at `endpoint`, where the command stands between the two.
  struct Through {
    std::string from;
    std::string to;
    std::string endpoint;
  };
  bool allowed = false;
  std::vector<Through> through;
};

struct Site {
  std::string file;  // absolute path of lockstep.yaml
  std::string name;
  std::string state;  // absolute directory: journals, pid files, logs
  std::string keys;   // absolute directory of key files; empty: no keys (ipc only)
  std::string hooks;  // absolute directory of hooks (`fence: {hook: NAME}`); default: hooks
  std::string first_promotion;  // UUIDv7: the promotion id of identity epoch 1
  bool insecure = false;
  bool bind_all = false;  // tcp endpoints are bound at every address of the host
  int max_runs_per_cluster = 2;
  Nanos arm_ahead = seconds(2);
  std::string log_format = "text";  // or "json"
  std::string log_level = "info";
  std::vector<ControlService> control;
  std::optional<Gateway> gateway;
  Injection injection;
  UserData user_data;
  ClockWish clock;
  std::map<std::string, Cluster> clusters;
  std::vector<std::string> here;  // which services `lockstep up` runs on this host; default: all
  std::vector<std::string> users = {"user"};  // parties with the role user (the first is the CLI's)
  std::vector<std::string> subscribers;       // parties that may only follow events

  // Whether agents of two clusters are reached at one host (ipc, or the same host of tcp): their
  // paths are then paths of one machine and must not overlap.
  bool clusters_share_host() const;
  // Whether every cluster has a directory of users: they are carried from one to the other.
  bool has_directories() const;
  const Agent* find_agent(const std::string& name, const Cluster** cluster = nullptr) const;
  const Agent* registrar(const std::string& cluster) const;
  // The parties with their public keys read from `keys`; `self`'s secret key too, where there are
  // keys. Where `injection.through` leads `self` elsewhere, that is the other's endpoint;
  // with `bind_all` the host in `self`'s own ones is 0.0.0.0. On a site with a gateway, subscribers
  // are parties for it alone: nobody else's sockets let their keys in. Errors: key-unreadable,
  // key-mode.
  Result<transport::Directory> directory(const std::string& self) const;
};

// Errors: config-*, with `file:line:column` in `where`.
Result<Site> load_site(const std::string& path);
// The same from text. `file` is its absolute path, against whose directory relative paths stand;
// `shown_as` names it in messages.
Result<Site> parse_site(std::string_view yaml, const std::string& file,
                        const std::string& shown_as);

}  // namespace lockstep::config
