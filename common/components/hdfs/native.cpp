#include "common/components/hdfs/native.hpp"

#include <nlohmann/json.hpp>

namespace lockstep::hdfs {

std::string to_text(const Native& native) {
  nlohmann::json text = {{"directory", native.directory}};
  if (!native.snapshot.empty()) {
    text["snapshot"] = native.snapshot;
    text["inode"] = native.inode;
    text["made_ms"] = native.made_ms;
  }
  if (native.captures_open_files) text["captures_open_files"] = true;
  if (!native.attempt.empty()) text["attempt"] = native.attempt;
  return text.dump();
}

Result<Native> native_from_text(const std::string& text) {
  const nlohmann::json parsed = nlohmann::json::parse(text, nullptr, false);
  try {
    Native native;
    native.directory = parsed.at("directory").get<std::string>();
    native.snapshot = parsed.value("snapshot", "");
    native.inode = parsed.value("inode", std::uint64_t{0});
    native.made_ms = parsed.value("made_ms", std::int64_t{0});
    native.captures_open_files = parsed.value("captures_open_files", false);
    native.attempt = parsed.value("attempt", "");
    if (native.directory.starts_with('/')) return native;
  } catch (const nlohmann::json::exception&) {
    // said below
  }
  return make_error(ErrorCode::version_missing, "this is no version of hdfs", text);
}

}  // namespace lockstep::hdfs
