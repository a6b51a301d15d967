#include "services/scheduler/timetable.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

namespace lockstep::scheduler {
namespace {

// The newest instant of the schedule in (considered, now]; one is known to lie there. Looks back in
// growing windows, so that a year's absence with a schedule by the second is not walked through.
Result<UtcNanos> newest_passed(const NextMoment& next_moment, UtcNanos considered, UtcNanos now) {
  constexpr std::array kWindows = {seconds(60), seconds(3600), seconds(86400), seconds(32 * 86400)};
  UtcNanos from = considered;
  for (const Nanos window : kWindows) {
    const UtcNanos start = std::max(considered, now - window);
    LOCKSTEP_TRY(const auto first, next_moment(start));
    if (first && *first <= now) {
      from = start;
      break;
    }
  }
  UtcNanos newest = from;
  while (true) {
    LOCKSTEP_TRY(const auto next, next_moment(newest));
    if (!next || *next > now) return newest;
    newest = *next;
  }
}

bool at_work(const run::State& state) {
  return state.phase != run::Phase::scheduled && !run::terminal(state.phase) &&
         !run::pending(state);
}

bool transferring(const run::State& state) {
  return state.phase == run::Phase::transfer || state.phase == run::Phase::seal ||
         state.phase == run::Phase::keep;
}

}  // namespace

Result<Due> due(const NextMoment& next_moment, UtcNanos considered, UtcNanos now, Nanos ahead) {
  Due due;
  LOCKSTEP_TRY(const auto next, next_moment(considered));
  if (!next) return due;
  if (*next <= now) {
    due.what = Due::What::missed;
    LOCKSTEP_TRY(due.moment, newest_passed(next_moment, considered, now));
  } else if (*next - ahead <= now) {
    due.what = Due::What::plan;
    due.moment = *next;
  } else {
    due.look_again = *next - ahead;
  }
  return due;
}

Turns turns(const std::vector<Standing>& runs, run::Instant now, int per_cluster) {
  std::vector<const Standing*> in_order;
  for (const Standing& one : runs)
    if (!run::terminal(one.state->phase)) in_order.push_back(&one);
  std::sort(in_order.begin(), in_order.end(), [](const Standing* a, const Standing* b) {
    const auto rank = [](const Standing& one) {
      return std::tie(one.state->plan.scheduled, one.state->plan.attempt, one.state->plan.run);
    };
    return rank(*a) < rank(*b);
  });

  Turns turns;
  std::map<std::string, int> at_work_in;          // cluster
  std::set<std::string> busy;                     // service
  std::map<std::string, int> waiting;             // service
  std::map<std::string, const Standing*> oldest;  // service: whose turn to transfer it is
  for (const Standing* one : in_order) {
    const run::State& state = *one->state;
    if (at_work(state)) {
      busy.insert(state.plan.service);
      for (const std::string& cluster : one->clusters) ++at_work_in[cluster];
    }
    if (run::pending(state)) ++waiting[state.plan.service];
    if (!transferring(state)) continue;
    const Standing*& first = oldest[state.plan.service];
    if (first == nullptr || std::tie(state.moment, state.plan.run) <
                                std::tie(first->state->moment, first->state->plan.run))
      first = one;
  }
  for (const auto& [service, one] : oldest) turns.may_transfer.insert(one->state->plan.run);

  for (const Standing* one : in_order) {
    const run::State& state = *one->state;
    if (state.phase != run::Phase::scheduled) continue;
    if (state.plan.begin_at > now) {
      turns.look_again =
          std::min(turns.look_again.value_or(state.plan.begin_at), state.plan.begin_at);
      continue;
    }
    const bool room =
        std::all_of(one->clusters.begin(), one->clusters.end(),
                    [&](const std::string& cluster) { return at_work_in[cluster] < per_cluster; });
    if (busy.contains(state.plan.service) || !room) continue;
    if (const int pending = waiting[state.plan.service];
        pending > 0 && pending >= one->max_pending) {
      turns.refuse.emplace_back(
          state.plan.run,
          run::Failure{"max-pending",
                       std::to_string(pending) + " runs wait for the other cluster already",
                       state.plan.service, "", true});
      continue;
    }
    turns.begin.push_back(state.plan.run);
    busy.insert(state.plan.service);
    for (const std::string& cluster : one->clusters) ++at_work_in[cluster];
  }
  return turns;
}

}  // namespace lockstep::scheduler
