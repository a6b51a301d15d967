#include "common/config/hadoop.hpp"

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

std::string namenode(const Value& value, const std::string& text) {
  if (text.starts_with("https://")) {
    value.problem(ErrorCode::not_built_yet, "this version does not speak TLS to HDFS yet",
                  "name the NameNode's http:// address");
    return {};
  }
  const std::string rest = text.starts_with("http://") ? text.substr(7) : "";
  const auto colon = rest.rfind(':');
  const std::string port = colon == std::string::npos ? "" : rest.substr(colon + 1);
  if (colon != 0 && is_port(port) && rest.find_first_of("/?#@ ") == std::string::npos) return text;
  value.problem(ErrorCode::config_bad_value, "expected http://HOST:PORT, found `" + text + "`",
                "the NameNode's web server, by default port 9870");
  return {};
}

}  // namespace

std::optional<Hdfs> read_hdfs(const Value& value) {
  auto map = value.map();
  if (!map) return std::nullopt;
  Hdfs hdfs;
  if (const auto nodes = map->require("namenodes", "the NameNode's web address, in a list")) {
    const auto texts = nodes->texts().value_or(std::vector<std::string>{});
    if (nodes->is_list() && texts.size() != 1) {
      nodes->problem(texts.empty() ? ErrorCode::config_bad_value : ErrorCode::not_built_yet,
                     texts.empty() ? "expected the address of a NameNode"
                                   : "this version speaks to one NameNode, found " +
                                         std::to_string(texts.size()),
                     "name the active one; high availability is not built yet");
    }
    if (!texts.empty()) hdfs.namenode = namenode(*nodes, texts.front());
  }
  if (const auto user = map->find("user")) hdfs.user = user->text().value_or("");
  if (const auto count = map->find("connections")) {
    hdfs.connections = static_cast<int>(count->integer(1, 64).value_or(hdfs.connections));
  }
  if (const auto patience = map->find("patience")) {
    hdfs.patience = patience->duration(milliseconds(1), seconds(3600)).value_or(hdfs.patience);
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
