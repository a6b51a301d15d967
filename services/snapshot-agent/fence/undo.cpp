#include "services/snapshot-agent/fence/undo.hpp"

#include <nlohmann/json.hpp>

#include "services/snapshot-agent/fence/cgroup.hpp"
#include "services/snapshot-agent/fence/hook.hpp"

namespace lockstep::snapshot {

std::string to_text(const Undo& undo) {
  nlohmann::json text = {{"kind", undo.kind == Undo::Kind::hook ? "hook" : "cgroup"}};
  if (undo.kind == Undo::Kind::hook) {
    text["argv"] = undo.argv;
    text["environment"] = undo.environment;
    text["timeout_ns"] = undo.timeout.count;
  } else {
    text["directory"] = undo.directory;
  }
  return text.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

Result<Undo> undo_from_text(const std::string& text) {
  try {
    const nlohmann::json parsed = nlohmann::json::parse(text);
    Undo undo;
    if (parsed.at("kind") == "cgroup") {
      undo.kind = Undo::Kind::cgroup;
      undo.directory = parsed.at("directory").get<std::string>();
    } else {
      undo.kind = Undo::Kind::hook;
      undo.argv = parsed.at("argv").get<std::vector<std::string>>();
      undo.environment = parsed.at("environment").get<std::map<std::string, std::string>>();
      undo.timeout = Nanos{parsed.at("timeout_ns").get<std::int64_t>()};
    }
    return undo;
  } catch (const nlohmann::json::exception& error) {
    return make_error(ErrorCode::internal, "this is no way to undo a fence: " + text, error.what());
  }
}

Result<void> perform(const Undo& undo, os::Disk& disk, os::Processes& processes) {
  if (undo.kind == Undo::Kind::cgroup) return thaw(disk, undo.directory);
  LOCKSTEP_CHECK(run_hook(processes, undo.argv, undo.environment, undo.timeout, {}));
  return {};
}

}  // namespace lockstep::snapshot
