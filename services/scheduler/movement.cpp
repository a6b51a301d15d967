#include "services/scheduler/movement.hpp"

namespace lockstep::scheduler {
namespace {

// "ledger (12 entries, 4096 bytes so far)"
std::string sets_text(const message::Body& progress) {
  const auto sets = progress.find("sets");
  if (sets == progress.end()) return "its answer";
  std::string out;
  for (const auto& set : *sets) {
    out += (out.empty() ? "" : ", ") + set.at("name").get<std::string>() + " (" +
           std::to_string(set.at("entries").get<std::uint64_t>()) + " entries, " +
           std::to_string(set.at("bytes").get<std::uint64_t>()) + " bytes so far)";
  }
  return out.empty() ? "its answer" : out;
}

}  // namespace

std::optional<run::Failure> Movement::look(const transport::Reply& reply, MonoNanos now) {
  if (!watched()) return std::nullopt;
  if (reply.stage == transport::Reply::Stage::progress && reply.body != last_) {
    last_ = reply.body;
    moved_ = now;
  }
  if (now - moved_ < stall_) return std::nullopt;
  return run::Failure{"stalled",
                      run::step_name(key_) + " made no progress for " + to_duration(stall_) +
                          "; it waited for " + sets_text(last_),
                      key_.agent,
                      "look at the file system and at the agent's log; a longer `stall` in the "
                      "policy gives it more time",
                      true};
}

}  // namespace lockstep::scheduler
