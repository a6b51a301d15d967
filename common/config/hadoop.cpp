#include "common/config/hadoop.hpp"

#include <algorithm>
#include <utility>

#include "common/config/addresses.hpp"
#include "common/config/reader.hpp"

namespace lockstep::config {

namespace {

void refuse_kerberos(Map& map) {
  if (const auto kerberos = map.find("kerberos")) {
    kerberos->problem(ErrorCode::not_built_yet, "this version does not speak Kerberos yet",
                      "it works with clusters of simple authentication");
  }
}

bool is_tls(const std::string& address) { return address.starts_with("https://"); }

bool by_tls(const std::vector<std::string>& addresses) {
  return !addresses.empty() && is_tls(addresses.front());
}

// A kind of web server of Hadoop's, as messages call it.
struct Server {
  std::string name;
  std::string ports;
};

std::string web_address(const Value& value, const std::string& text, const Server& server) {
  const bool tls = is_tls(text);
  const std::string rest = tls || text.starts_with("http://") ? text.substr(tls ? 8 : 7) : "";
  const auto colon = rest.rfind(':');
  const std::string port = colon == std::string::npos ? "" : rest.substr(colon + 1);
  if (colon != 0 && is_port(port) && rest.find_first_of("/?#@ ") == std::string::npos) return text;
  value.problem(ErrorCode::config_bad_value,
                "expected http://HOST:PORT or https://HOST:PORT, found `" + text + "`",
                "the " + server.name + "'s web server, by default port " + server.ports);
  return {};
}

std::vector<std::string> web_addresses(const Value& list, const Server& server) {
  std::vector<std::string> out;
  const auto texts = list.texts().value_or(std::vector<std::string>{});
  if (list.is_list() && texts.empty()) {
    list.problem(ErrorCode::config_bad_value, "expected the address of a " + server.name,
                 "of several in high availability name each");
  }
  for (const std::string& text : texts) {
    std::string address = web_address(list, text, server);
    if (address.empty()) continue;
    if (std::find(out.begin(), out.end(), address) != out.end()) {
      list.problem(ErrorCode::config_bad_value, "the address " + text + " stands there twice",
                   "name each " + server.name + " of the cluster once");
    }
    if (!out.empty() && by_tls(out) != is_tls(address)) {
      list.problem(ErrorCode::config_bad_value, "some addresses are https://, some http://",
                   "name those of one kind");
    }
    out.push_back(std::move(address));
  }
  return out;
}

std::string filesystem(const Value& value) {
  const auto text = value.text();
  if (!text) return {};
  const std::string rest = text->starts_with("hdfs://") ? text->substr(7) : "";
  const auto colon = rest.find(':');
  const bool port_fits = colon == std::string::npos || is_port(rest.substr(colon + 1));
  if (!rest.empty() && colon != 0 && port_fits &&
      rest.find_first_of("/?#@ ") == std::string::npos) {
    return *text;
  }
  value.problem(ErrorCode::config_bad_value,
                "expected hdfs://HOST:PORT or hdfs://NAMESERVICE, found `" + *text + "`",
                "as `fs.defaultFS` in core-site.xml names it");
  return {};
}

using Absolute = std::function<std::string(const std::optional<Value>&)>;

class HadoopReader {
 public:
  HadoopReader(Map& cluster, const Absolute& absolute) {
    if (const auto hdfs = cluster.find("hdfs")) out_.hdfs = read_hdfs(*hdfs, absolute);
    if (const auto hbase = cluster.find("hbase")) {
      out_.hbase = read_hbase(*hbase);
      if (!out_.hdfs) {
        hbase->problem(ErrorCode::config_missing_key, "`hbase` needs `hdfs` beside it",
                       "its files are carried by the WebHDFS of the HDFS it lies on");
      }
    }
    check_ca();
  }

  Hadoop take() { return std::move(out_); }

 private:
  std::optional<Hdfs> read_hdfs(const Value& value, const Absolute& absolute) {
    auto map = value.map();
    if (!map) return std::nullopt;
    Hdfs hdfs;
    if (const auto nodes = map->require("namenodes", "the NameNode's web address, in a list")) {
      hdfs.namenodes = web_addresses(*nodes, {"NameNode", "9870, or 9871 with TLS"});
    }
    if (const auto user = map->find("user")) hdfs.user = user->text().value_or("");
    if (const auto count = map->find("connections")) {
      hdfs.connections = static_cast<int>(count->integer(1, 64).value_or(hdfs.connections));
    }
    if (const auto patience = map->find("patience")) {
      hdfs.patience = patience->duration(milliseconds(1), seconds(3600)).value_or(hdfs.patience);
    }
    const auto named = map->find("filesystem");
    if (named) hdfs.filesystem = filesystem(*named);
    has_filesystem_ = named.has_value();
    if (const auto distcp = map->find("distcp")) {
      hdfs.distcp = read_jobs(*distcp, nullptr);
      if (!has_filesystem_) needs_filesystem(*distcp, "`distcp` needs `filesystem` beside it");
    }
    ca_ = map->find("ca");
    if (ca_) hdfs.ca = absolute(ca_);
    refuse_kerberos(*map);
    map->finish();
    return hdfs;
  }

  std::optional<HBase> read_hbase(const Value& value) {
    auto map = value.map();
    if (!map) return std::nullopt;
    HBase hbase;
    if (const auto path = map->require(
            "classpath", "its configuration and classes, as `hbase classpath` tells them")) {
      hbase.classpath = path->text().value_or("");
    }
    if (const auto user = map->find("user")) hbase.user = user->text().value_or("");
    if (const auto java = map->find("java")) hbase.java = java->text().value_or("");
    if (const auto root = map->find("rootdir")) {
      hbase.rootdir =
          root->absolute_path("as `hbase.rootdir` in hbase-site.xml, without its hdfs://HOST:PORT")
              .value_or(hbase.rootdir);
    }
    if (const auto jobs = map->find("exportsnapshot")) {
      hbase.exportsnapshot = read_jobs(*jobs, &hbase);
      if (out_.hdfs && !has_filesystem_) {
        needs_filesystem(*jobs, "`exportsnapshot` needs `filesystem` in `hdfs`");
      }
    }
    refuse_kerberos(*map);
    map->finish();
    return hbase;
  }

  static void needs_filesystem(const Value& jobs, std::string what) {
    jobs.problem(ErrorCode::config_missing_key, std::move(what),
                 "its jobs name this HDFS by it: filesystem: hdfs://HOST:PORT");
  }

  // ExportSnapshot's (`hbase`) need no YARN, and may be run with HBase's own classes.
  static std::optional<HadoopJobs> read_jobs(const Value& value, const HBase* hbase) {
    auto map = value.map();
    if (!map) return std::nullopt;
    const auto find = [&map, hbase](std::string_view key, std::string_view what_for) {
      return hbase != nullptr ? map->find(key) : map->require(key, what_for);
    };
    HadoopJobs jobs;
    if (hbase != nullptr) jobs.classpath = hbase->classpath;
    if (const auto path = find(
            "classpath", "Hadoop's configuration and classes, as `hadoop classpath` tells them")) {
      jobs.classpath = path->text().value_or("");
    }
    const auto managers = find("resourcemanagers", "the ResourceManager's web address, in a list");
    if (managers) {
      jobs.resourcemanagers =
          web_addresses(*managers, {"ResourceManager", "8088, or 8090 with TLS"});
    }
    if (const auto java = map->find("java")) jobs.java = java->text().value_or("");
    if (const auto queue = map->find("queue")) {
      jobs.queue = queue->text().value_or("");
      if (hbase != nullptr && !managers) {
        queue->problem(ErrorCode::config_bad_value, "`queue` is YARN's, and no YARN is named",
                       "add `resourcemanagers`, or leave it out");
      }
    }
    if (const auto maps = map->find("maps")) {
      jobs.maps = static_cast<int>(maps->integer(1, 1000).value_or(jobs.maps));
    }
    if (const auto bandwidth = map->find("bandwidth")) {
      jobs.bandwidth = static_cast<int>(bandwidth->integer(1, 100'000).value_or(jobs.bandwidth));
    }
    if (const auto from = map->find("from")) jobs.from = from->bytes().value_or(jobs.from);
    map->finish();
    return jobs;
  }

  // That of the NameNodes and of all ResourceManagers.
  void check_ca() const {
    if (!ca_ || out_.hdfs->namenodes.empty()) return;
    const auto by_tls_too = [](const std::optional<HadoopJobs>& jobs) {
      return jobs && by_tls(jobs->resourcemanagers);
    };
    if (by_tls(out_.hdfs->namenodes) || by_tls_too(out_.hdfs->distcp)) return;
    if (out_.hbase && by_tls_too(out_.hbase->exportsnapshot)) return;
    ca_->problem(ErrorCode::config_bad_value, "the NameNodes' addresses are http://",
                 "`ca` is for https:// addresses");
  }

  Hadoop out_;
  bool has_filesystem_ = false;
  std::optional<Value> ca_;
};

}  // namespace

Hadoop read_hadoop(Map& cluster, const Absolute& absolute) {
  return HadoopReader(cluster, absolute).take();
}

}  // namespace lockstep::config
