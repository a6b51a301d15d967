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

std::optional<DistCp> read_distcp(const Value& value) {
  auto map = value.map();
  if (!map) return std::nullopt;
  DistCp distcp;
  if (const auto path = map->require(
          "classpath", "Hadoop's configuration and classes, as `hadoop classpath` tells them")) {
    distcp.classpath = path->text().value_or("");
  }
  if (const auto managers =
          map->require("resourcemanagers", "the ResourceManager's web address, in a list")) {
    distcp.resourcemanagers =
        web_addresses(*managers, {"ResourceManager", "8088, or 8090 with TLS"});
  }
  if (const auto java = map->find("java")) distcp.java = java->text().value_or("");
  if (const auto queue = map->find("queue")) distcp.queue = queue->text().value_or("");
  if (const auto maps = map->find("maps")) {
    distcp.maps = static_cast<int>(maps->integer(1, 1000).value_or(distcp.maps));
  }
  if (const auto bandwidth = map->find("bandwidth")) {
    distcp.bandwidth = static_cast<int>(bandwidth->integer(1, 100'000).value_or(distcp.bandwidth));
  }
  if (const auto from = map->find("from")) distcp.from = from->bytes().value_or(distcp.from);
  map->finish();
  return distcp;
}

}  // namespace

std::optional<Hdfs> read_hdfs(
    const Value& value, const std::function<std::string(const std::optional<Value>&)>& absolute) {
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
  if (const auto distcp = map->find("distcp")) {
    hdfs.distcp = read_distcp(*distcp);
    if (!named) {
      distcp->problem(ErrorCode::config_missing_key, "`distcp` needs `filesystem` beside it",
                      "its jobs name this HDFS by it: filesystem: hdfs://HOST:PORT");
    }
  }
  if (const auto ca = map->find("ca")) {
    hdfs.ca = absolute(ca);
    const bool used =
        by_tls(hdfs.namenodes) || (hdfs.distcp && by_tls(hdfs.distcp->resourcemanagers));
    if (!hdfs.namenodes.empty() && !used) {
      ca->problem(ErrorCode::config_bad_value, "the NameNodes' addresses are http://",
                  "`ca` is for https:// addresses");
    }
  }
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
  refuse_kerberos(*map);
  map->finish();
  return hbase;
}

}  // namespace lockstep::config
