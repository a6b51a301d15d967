#include "services/snapshot-agent/guard/orders.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace lockstep::snapshot {

std::string watch_line(const std::string& id, Nanos timeout, const Undo& undo) {
  return nlohmann::json{{"do", "watch"},
                        {"id", id},
                        {"timeout_ns", timeout.count},
                        {"undo", nlohmann::json::parse(to_text(undo))}}
      .dump();
}

std::string forget_line(const std::string& id) {
  return nlohmann::json{{"do", "forget"}, {"id", id}}.dump();
}

Result<void> Watched::take(const std::string& line, MonoNanos now) {
  try {
    const nlohmann::json order = nlohmann::json::parse(line);
    const std::string id = order.at("id").get<std::string>();
    std::erase_if(watches_, [&id](const Watch& watch) { return watch.id == id; });
    if (order.at("do") != "watch") return {};
    const Nanos timeout{order.at("timeout_ns").get<std::int64_t>()};
    LOCKSTEP_TRY(Undo undo, undo_from_text(order.at("undo").dump()));
    watches_.push_back({id, now + timeout, timeout, std::move(undo)});
    return {};
  } catch (const nlohmann::json::exception& error) {
    return make_error(ErrorCode::internal, "this is no order for a guard: " + line, error.what());
  }
}

std::vector<Watched::Due> Watched::due(MonoNanos now) {
  std::vector<Due> due;
  for (auto watch = watches_.rbegin(); watch != watches_.rend(); ++watch) {
    if (watch->until > now) continue;
    due.push_back({watch->id, watch->undo,
                   "it stood for longer than its time-out of " + to_duration(watch->timeout)});
  }
  std::erase_if(watches_, [now](const Watch& watch) { return watch.until <= now; });
  return due;
}

std::vector<Watched::Due> Watched::all() {
  std::vector<Due> due;
  for (auto watch = watches_.rbegin(); watch != watches_.rend(); ++watch) {
    due.push_back({watch->id, watch->undo, "the agent that held it is gone"});
  }
  watches_.clear();
  return due;
}

std::optional<Nanos> Watched::next(MonoNanos now) const {
  if (watches_.empty()) return std::nullopt;
  const auto first =
      std::min_element(watches_.begin(), watches_.end(),
                       [](const Watch& a, const Watch& b) { return a.until < b.until; });
  return first->until - now;
}

}  // namespace lockstep::snapshot
