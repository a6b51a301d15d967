#include "common/components/hbase/native.hpp"

#include <nlohmann/json.hpp>

namespace lockstep::hbase {

std::string to_text(const Native& native) {
  nlohmann::json text = nlohmann::json::object();
  if (!native.staging.empty()) text["staging"] = native.staging;
  for (const Snapshot& one : native.snapshots) {
    text["snapshots"].push_back({{"name", one.name},
                                 {"namespace", one.table.space},
                                 {"table", one.table.table},
                                 {"created_ms", one.created_ms}});
  }
  return text.dump();
}

Result<Native> native_from_text(const std::string& text) {
  const nlohmann::json parsed = nlohmann::json::parse(text, nullptr, false);
  try {
    Native native;
    native.staging = parsed.value("staging", "");
    for (const auto& one : parsed.value("snapshots", nlohmann::json::array())) {
      native.snapshots.push_back(
          {one.at("name").get<std::string>(),
           {one.at("namespace").get<std::string>(), one.at("table").get<std::string>()},
           one.at("created_ms").get<std::int64_t>()});
    }
    if (!native.snapshots.empty() || !native.staging.empty()) return native;
  } catch (const nlohmann::json::exception&) {
    // said below
  }
  return make_error(ErrorCode::version_missing, "this is no version of hbase", text);
}

}  // namespace lockstep::hbase
