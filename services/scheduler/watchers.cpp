#include "services/scheduler/watchers.hpp"

#include "services/scheduler/facts_body.hpp"

namespace lockstep::scheduler {

using message::Body;

void Watchers::add(const std::string& run, const transport::Request& request) {
  waiting_[run].push_back(request);
}

void Watchers::move(const std::string& run, const std::string& successor) {
  auto moving = waiting_.extract(run);
  if (moving.empty()) return;
  moving.key() = successor;
  waiting_.insert(std::move(moving));
}

void Watchers::tell(const run::State& state, const std::string& step, const Body& sets) {
  const auto found = waiting_.find(state.plan.run);
  if (found == waiting_.end()) return;
  Body body = {{"run", state.plan.run}, {"state", run::phase_name(state.phase)}};
  if (!step.empty()) body["step"] = step;
  if (!sets.is_null()) body["sets"] = sets;
  for (const transport::Request& request : found->second) request.progress(body);
}

void Watchers::end(const run::State& state) {
  auto ending = waiting_.extract(state.plan.run);
  if (ending.empty()) return;
  for (const transport::Request& request : ending.mapped()) {
    if (state.phase == run::Phase::complete) {
      request.done({{"run", state.plan.run},
                    {"moment", to_rfc3339({state.moment})},
                    {"state", run::phase_name(state.phase)},
                    {"point", state.plan.run},
                    {"attempts", state.plan.attempt}});
    } else {
      request.failed(error_from_failure(state.failure.value_or(
          run::Failure{"internal", "the run ended without a reason", state.plan.run, "", true})));
    }
  }
}

}  // namespace lockstep::scheduler
