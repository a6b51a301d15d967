#include "common/config/site.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "common/config/addresses.hpp"
#include "common/config/files.hpp"
#include "common/config/reader.hpp"
#include "common/message/uuid.hpp"

namespace lockstep::config {

namespace {

namespace fs = std::filesystem;
using transport::Role;

// Reads one site; holds what the checks over several keys need.
class SiteReader {
 public:
  SiteReader(std::string file, Report& report) : report_(report) {
    site_.file = std::move(file);
    base_ = fs::path{site_.file}.parent_path();
  }

  Site read(Map& root) {
    if (const auto version = root.require("lockstep", "the form of this file: 1")) {
      version->integer(1, 1);
    }
    if (const auto name = root.require("site", "this site's name")) {
      site_.name = name->name().value_or("");
    }
    site_.state = absolute(root.require("state", "where journals, pid files and logs lie"));
    site_.keys = absolute(root.find("keys"));
    site_.hooks = (base_ / "hooks").string();
    if (const auto hooks = root.find("hooks")) site_.hooks = absolute(hooks);
    if (const auto insecure = root.find("insecure")) {
      site_.insecure = insecure->boolean().value_or(false);
    }
    if (const auto all = root.find("bind_all")) {
      site_.bind_all = all->boolean().value_or(false);
    }
    if (const auto id = root.require("first_promotion", "a UUIDv7, the same at every site")) {
      read_promotion(*id);
    }
    if (const auto control = root.require("control", "the control device's services")) {
      read_control(*control);
    }
    if (const auto clusters = root.require("clusters", "the two clusters")) {
      read_clusters(*clusters);
    }
    read_people(root);
    read_here(root);
    if (const auto limits = root.find("limits")) read_limits(*limits);
    if (const auto users = root.find("user_data")) site_.user_data = read_user_data(*users);
    if (const auto injection = root.find("injection")) read_injection(*injection);
    if (const auto clock = root.find("clock")) site_.clock = read_clock(*clock);
    if (const auto ahead = root.find("arm_ahead")) {
      site_.arm_ahead = ahead->duration(milliseconds(1), seconds(3600)).value_or(site_.arm_ahead);
    }
    if (const auto log = root.find("log")) read_log(*log);
    root.finish();
    return std::move(site_);
  }

 private:
  std::string absolute(const std::optional<Value>& value) {
    if (!value) return {};
    const auto text = value->text();
    if (!text) return {};
    auto path = (base_ / *text).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();  // "var/" is "var"
    return path.string();
  }

  void read_promotion(const Value& value) {
    const auto id = value.text();
    if (!id) return;
    if (!message::is_uuid(*id) || (*id)[14] != '7') {
      value.problem(ErrorCode::config_bad_value,
                    "expected a UUID of version 7, found `" + *id + "`",
                    "`lockstep init` makes one");
      return;
    }
    site_.first_promotion = *id;
  }

  // A name of a party, once in the whole site.
  void claim(const std::string& name, const Value& value) {
    if (!names_.insert(name).second) {
      value.problem(ErrorCode::config_bad_value,
                    "the name `" + name + "` is taken by another party of this site");
    }
  }

  std::string endpoint(Map& map, std::string_view key, std::string_view what_for) {
    const auto value = map.require(key, what_for);
    const auto text = value ? value->text() : std::nullopt;
    if (!text) return {};
    std::string out;
    if (text->starts_with("ipc://")) {
      out = ipc_endpoint(*value, text->substr(6), base_.string());
    } else if (text->starts_with("tcp://")) {
      out = tcp_endpoint(*value, *text);
      check_keys(*value, out);
    } else {
      value->problem(ErrorCode::config_bad_value,
                     "expected ipc://PATH or tcp://HOST:PORT, found `" + *text + "`");
    }
    if (!out.empty() && !endpoints_.insert(out).second) {
      value->problem(ErrorCode::config_bad_value,
                     "the endpoint `" + *text + "` is used twice in this site");
    }
    return out;
  }

  // What leaves the host is authenticated, unless the file says that it need not be.
  void check_keys(const Value& value, const std::string& tcp) const {
    if (tcp.empty() || !site_.keys.empty() || site_.insecure) return;
    value.problem(ErrorCode::config_bad_value, "tcp needs keys, and this file has no `keys`",
                  "make them with `lockstep keys init`, or use ipc://");
  }

  void read_control(const Value& value) {
    auto control = value.map();
    if (!control) return;
    for (const char* name : {"policy", "scheduler", "health-monitor", "gateway"}) {
      const bool needed =
          std::string_view{name} == "policy" || std::string_view{name} == "scheduler";
      const auto entry = needed ? control->require(name, "its endpoints") : control->find(name);
      auto map = entry ? entry->map() : std::nullopt;
      if (!map) continue;
      claim(name, *entry);
      ControlService service{name, endpoint(*map, "endpoint", "where it is asked"),
                             endpoint(*map, "events", "where it publishes")};
      if (service.name == "gateway") read_gateway(*map);
      map->finish();
      site_.control.push_back(std::move(service));
    }
    control->finish();
  }

  void read_gateway(Map& map) {
    Gateway gateway;
    gateway.feed = endpoint(map, "feed", "where outsiders subscribe to events");
    if (const auto keep = map.find("keep")) {
      gateway.keep = keep->integer(1000, 10'000'000).value_or(gateway.keep);
    }
    gateway.token_file = absolute(map.find("token_file"));
    if (const auto http = map.find("http")) {
      gateway.http = host_and_port(*http);
      if (!gateway.http.empty() && gateway.token_file.empty() && !is_loopback(gateway.http)) {
        http->problem(ErrorCode::config_bad_value,
                      "`" + gateway.http + "` can be reached from other hosts",
                      "name a `token_file`, or listen on 127.0.0.1");
      }
    }
    site_.gateway = std::move(gateway);
  }

  void read_clusters(const Value& value) {
    auto clusters = value.map();
    if (!clusters) return;
    int primaries = 0;
    const auto entries = clusters->entries();
    for (const auto& [name, entry] : entries) {
      if (auto map = entry.map()) {
        Cluster cluster = read_cluster(name, *map);
        primaries += cluster.initially_primary ? 1 : 0;
        site_.clusters.emplace(name, std::move(cluster));
      }
    }
    if (!report_.clean()) return;  // what follows would only repeat it
    if (entries.size() != 2) {
      value.problem(ErrorCode::config_bad_value,
                    "expected two clusters, found " + std::to_string(entries.size()));
    } else if (primaries != 1) {
      value.problem(
          ErrorCode::config_bad_value,
          "expected one cluster with `identity: primary` and one with `identity: secondary`");
    } else {
      if (site_.clusters_share_host()) check_roots(value);
      check_directories(value);
    }
  }

  // Names are of one form in both directories, and they are two.
  void check_directories(const Value& value) {
    const auto& one = site_.clusters.begin()->second.directory;
    const auto& other = std::next(site_.clusters.begin())->second.directory;
    if (one.has_value() != other.has_value()) {
      value.problem(ErrorCode::config_bad_value, "one cluster has a `directory`, the other none",
                    "name one for both, or for neither");
    } else if (one && one->store != other->store) {
      value.problem(ErrorCode::config_bad_value, "the two directories are of different kinds",
                    "both embedded, or both ldap");
    } else if (one && !one->path.empty() && one->path == other->path &&
               site_.clusters_share_host()) {
      value.problem(ErrorCode::config_bad_value, "both clusters have one `directory`",
                    "each cluster has a directory of its own");
    }
  }

  void check_roots(const Value& value) {
    for (const auto& [name, cluster] : site_.clusters) {
      for (const auto& [other_name, other] : site_.clusters) {
        if (cluster.root.empty() || other.root.empty() || name == other_name) continue;
        if (cluster.root == other.root ? name < other_name
                                       : other.root.starts_with(cluster.root + "/")) {
          value.problem(ErrorCode::config_bad_value,
                        "the root of `" + other_name + "` lies in the root of `" + name + "`");
        }
      }
    }
  }

  Cluster read_cluster(const std::string& name, Map& map) {
    Cluster cluster;
    cluster.name = name;
    cluster.root = absolute(map.require("root", "where its data sets lie by default"));
    if (cluster.root == "/") map.problem(ErrorCode::config_bad_value, "`/` cannot be a root");
    if (const auto identity = map.require("identity", "primary or secondary, at the start")) {
      cluster.initially_primary = identity->choice({"primary", "secondary"}).value_or(1) == 0;
    }
    if (const auto lock = map.find("lock")) {
      cluster.lock = lock->duration(Nanos{0}).value_or(Nanos{});
    }
    Hadoop hadoop = read_hadoop(map, [this](const auto& path) { return absolute(path); });
    cluster.hdfs = std::move(hadoop.hdfs);
    cluster.hbase = std::move(hadoop.hbase);
    if (const auto agents = map.require("agents", "its agents")) read_agents(cluster, *agents);
    if (const auto directory = map.find("directory")) read_directory(cluster, *directory);
    map.finish();
    return cluster;
  }

  // One of the cluster's snapshot-agents reaches it.
  void read_directory(Cluster& cluster, const Value& value) {
    UserStore store = read_user_store(value, [this](const auto& path) { return absolute(path); });
    std::vector<std::string> names;
    for (const auto& agent : cluster.agents) {
      if (agent.role == Role::snapshot_agent) names.push_back(agent.name);
    }
    if (store.agent.empty() && names.size() > 1) {
      value.problem(ErrorCode::config_missing_key,
                    "the cluster has several snapshot-agents and none is named",
                    "add `agent:` with the one that reaches the directory");
    } else if (store.agent.empty()) {
      if (!names.empty()) store.agent = names.front();
    } else if (std::find(names.begin(), names.end(), store.agent) == names.end()) {
      const auto near = nearest(store.agent, names);
      value.problem(ErrorCode::config_bad_value,
                    "no snapshot-agent of this cluster is named `" + store.agent + "`",
                    near ? "did you mean `" + *near + "`?" : "");
    }
    cluster.directory = std::move(store);
  }

  void read_agents(Cluster& cluster, const Value& value) {
    auto agents = value.map();
    if (!agents) return;
    int snapshot_agents = 0;
    int transfer_agents = 0;
    bool registrar_denied = false;
    for (const auto& [name, entry] : agents->entries()) {
      auto map = entry.map();
      if (!map) continue;
      claim(name, entry);
      Agent agent;
      agent.name = name;
      const auto role = map->require("role", "snapshot-agent or transfer-agent");
      const bool moves =
          role && role->choice({"snapshot-agent", "transfer-agent"}).value_or(0) == 1;
      agent.role = moves ? Role::transfer_agent : Role::snapshot_agent;
      agent.endpoint = endpoint(*map, "endpoint", "where it is asked");
      agent.events = endpoint(*map, "events", "where it publishes");
      if (moves) {
        agent.bulk = endpoint(*map, "bulk", "where packs arrive");
        if (const auto registrar = map->find("registrar")) {
          registrar_denied = !registrar->boolean().value_or(true);
        }
      }
      map->finish();
      (moves ? transfer_agents : snapshot_agents)++;
      cluster.agents.push_back(std::move(agent));
    }
    if (snapshot_agents == 0 || transfer_agents == 0) {
      value.problem(ErrorCode::config_bad_value,
                    "expected at least one snapshot-agent and one transfer-agent");
    } else if (transfer_agents > 1) {
      value.problem(ErrorCode::config_bad_value,
                    "this version moves data by one transfer-agent a cluster, found " +
                        std::to_string(transfer_agents) +
                        "; keep the one at the host that can read what is pinned (on the "
                        "secondary: where points are kept)");
    } else if (registrar_denied) {
      value.problem(ErrorCode::config_bad_value,
                    "the cluster's only transfer-agent is its registrar: leave `registrar` out, "
                    "or write `registrar: true`");
    }
    for (auto& agent : cluster.agents) agent.registrar = agent.role == Role::transfer_agent;
  }

  // Parties that run no service here: their keys may ask.
  void read_people(Map& root) {
    if (const auto users = root.find("users")) {
      site_.users = users->names().value_or(std::vector<std::string>{});
      for (const auto& name : site_.users) claim(name, *users);
    } else {
      names_.insert("user");
    }
    if (const auto subscribers = root.find("subscribers")) {
      site_.subscribers = subscribers->names().value_or(std::vector<std::string>{});
      for (const auto& name : site_.subscribers) claim(name, *subscribers);
    }
  }

  void read_here(Map& root) {
    std::vector<std::string> services;
    for (const auto& service : site_.control) services.push_back(service.name);
    for (const auto& [name, cluster] : site_.clusters) {
      for (const auto& agent : cluster.agents) services.push_back(agent.name);
    }
    const auto here = root.find("here");
    if (!here) {
      site_.here = services;
      return;
    }
    const auto list = here->list();
    if (!list) return;
    for (const auto& value : *list) {
      const auto name = value.name();
      if (!name) continue;
      if (std::find(services.begin(), services.end(), *name) == services.end()) {
        const auto near = nearest(*name, services);
        value.problem(ErrorCode::config_bad_value,
                      "no service of this site is named `" + *name + "`",
                      near ? "did you mean `" + *near + "`?" : "");
      } else if (std::find(site_.here.begin(), site_.here.end(), *name) != site_.here.end()) {
        value.problem(ErrorCode::config_bad_value, "`" + *name + "` stands twice in the list");
      } else {
        site_.here.push_back(*name);
      }
    }
  }

  void read_limits(const Value& value) {
    auto limits = value.map();
    if (!limits) return;
    if (const auto runs = limits->find("runs_per_cluster")) {
      site_.max_runs_per_cluster =
          static_cast<int>(runs->integer(1, 1000).value_or(site_.max_runs_per_cluster));
    }
    limits->finish();
  }

  void read_injection(const Value& value) {
    auto injection = value.map();
    if (!injection) return;
    if (const auto allow = injection->require("allow", "true on a site made for tests")) {
      site_.injection.allowed = allow->boolean().value_or(false);
    }
    const auto through = injection->find("through");
    const auto list = through ? through->list() : std::nullopt;
    for (const auto& entry : list.value_or(std::vector<Value>{})) {
      auto map = entry.map();
      if (!map) continue;
      Injection::Through way;
      if (const auto from = map->require("from", "a party")) way.from = party(*from);
      if (const auto to = map->require("to", "a service that it asks")) way.to = party(*to);
      way.endpoint = endpoint(*map, "endpoint", "where `lockstep inject` stands between them");
      map->finish();
      site_.injection.through.push_back(std::move(way));
    }
    injection->finish();
  }

  std::string party(const Value& value) const {
    const auto name = value.name();
    if (!name) return {};
    if (!names_.contains(*name)) {
      value.problem(ErrorCode::config_bad_value, "no party of this site is named `" + *name + "`");
    }
    return *name;
  }

  void read_log(const Value& value) {
    auto log = value.map();
    if (!log) return;
    if (const auto format = log->find("format")) {
      if (format->choice({"text", "json"}).value_or(0) == 1) site_.log_format = "json";
    }
    if (const auto level = log->find("level")) {
      static constexpr const char* kLevels[] = {"trace", "debug", "info", "warning", "error"};
      const auto which = level->choice({"trace", "debug", "info", "warning", "error"});
      if (which) site_.log_level = kLevels[*which];
    }
    log->finish();
  }

  Site site_;
  Report& report_;
  fs::path base_;
  std::set<std::string> names_;
  std::set<std::string> endpoints_;
};

}  // namespace

Result<Site> parse_site(std::string_view yaml, const std::string& file,
                        const std::string& shown_as) {
  Report report{shown_as};
  LOCKSTEP_TRY(const Value document, read_document(yaml, report));
  auto root = document.map();
  if (!root) return report.error();
  Site site = SiteReader{file, report}.read(*root);
  if (!report.clean()) return report.error();
  return site;
}

Result<Site> load_site(const std::string& path) {
  LOCKSTEP_TRY(const LoadedFile loaded, load_file(path));
  return parse_site(loaded.text, loaded.path, path);
}

bool Site::clusters_share_host() const {
  std::set<std::string> seen;
  for (const auto& [cluster_name, cluster] : clusters) {
    std::set<std::string> hosts;
    for (const auto& agent : cluster.agents) {
      const bool local = agent.endpoint.starts_with("ipc://");
      hosts.insert(local ? "ipc" : agent.endpoint.substr(0, agent.endpoint.rfind(':')));
    }
    for (const auto& host : hosts) {
      if (!seen.insert(host).second) return true;
    }
  }
  return false;
}

bool Site::has_directories() const {
  return std::all_of(clusters.begin(), clusters.end(),
                     [](const auto& cluster) { return cluster.second.directory.has_value(); });
}

const Agent* Site::find_agent(const std::string& wanted, const Cluster** cluster) const {
  for (const auto& [cluster_name, candidate] : clusters) {
    for (const auto& agent : candidate.agents) {
      if (agent.name != wanted) continue;
      if (cluster != nullptr) *cluster = &candidate;
      return &agent;
    }
  }
  return nullptr;
}

const Agent* Site::registrar(const std::string& cluster) const {
  const auto found = clusters.find(cluster);
  if (found == clusters.end()) return nullptr;
  for (const auto& agent : found->second.agents) {
    if (agent.registrar) return &agent;
  }
  return nullptr;
}

}  // namespace lockstep::config
