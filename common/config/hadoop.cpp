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

std::string namenode(const Value& value, const std::string& text) {
  const bool tls = is_tls(text);
  const std::string rest = tls || text.starts_with("http://") ? text.substr(tls ? 8 : 7) : "";
  const auto colon = rest.rfind(':');
  const std::string port = colon == std::string::npos ? "" : rest.substr(colon + 1);
  if (colon != 0 && is_port(port) && rest.find_first_of("/?#@ ") == std::string::npos) return text;
  value.problem(ErrorCode::config_bad_value,
                "expected http://HOST:PORT or https://HOST:PORT, found `" + text + "`",
                "the NameNode's web server, by default port 9870, or 9871 with TLS");
  return {};
}

}  // namespace

std::optional<Hdfs> read_hdfs(
    const Value& value, const std::function<std::string(const std::optional<Value>&)>& absolute) {
  auto map = value.map();
  if (!map) return std::nullopt;
  Hdfs hdfs;
  if (const auto nodes = map->require("namenodes", "the NameNode's web address, in a list")) {
    const auto texts = nodes->texts().value_or(std::vector<std::string>{});
    if (nodes->is_list() && texts.empty()) {
      nodes->problem(ErrorCode::config_bad_value, "expected the address of a NameNode",
                     "of several in high availability name each");
    }
    for (const std::string& text : texts) {
      std::string address = namenode(*nodes, text);
      if (address.empty()) continue;
      const auto& known = hdfs.namenodes;
      if (std::find(known.begin(), known.end(), address) != known.end()) {
        nodes->problem(ErrorCode::config_bad_value, "the address " + text + " stands there twice",
                       "name each NameNode of the cluster once");
      }
      if (!known.empty() && is_tls(known.front()) != is_tls(address)) {
        nodes->problem(ErrorCode::config_bad_value, "some addresses are https://, some http://",
                       "name those of one kind");
      }
      hdfs.namenodes.push_back(std::move(address));
    }
  }
  if (const auto user = map->find("user")) hdfs.user = user->text().value_or("");
  if (const auto count = map->find("connections")) {
    hdfs.connections = static_cast<int>(count->integer(1, 64).value_or(hdfs.connections));
  }
  if (const auto patience = map->find("patience")) {
    hdfs.patience = patience->duration(milliseconds(1), seconds(3600)).value_or(hdfs.patience);
  }
  if (const auto ca = map->find("ca")) {
    hdfs.ca = absolute(ca);
    if (!hdfs.namenodes.empty() && !is_tls(hdfs.namenodes.front())) {
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
