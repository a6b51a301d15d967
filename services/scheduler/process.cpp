#include "services/scheduler/process.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/message/uuid.hpp"
#include "common/service/log.hpp"
#include "services/scheduler/events_of.hpp"
#include "services/scheduler/facts_body.hpp"
#include "services/scheduler/run/successor.hpp"
#include "services/scheduler/timetable.hpp"

namespace lockstep::scheduler {

using message::Body;

namespace {

// Timers run on the monotonic clock, what is due is told in UTC: look again now and then, so that a
// clock that was set is noticed.
constexpr run::Span kLookAgain = 5 * run::kSecond;
constexpr std::size_t kRunsKept = 10'000;
constexpr Nanos kJournalFullPause = seconds(5);

}  // namespace

Process::Process(service::Surroundings& here, const service::IdentityFollower& identity,
                 Store& store, Hooks& hooks)
    : here_(here),
      store_(store),
      leads_(store),
      asking_(
          here, identity, store, hooks,
          {[this](const std::string& run, const run::StepKey& key, const Body& body) {
             progressed(run, key, body);
           },
           [this](const std::string& run, run::Answer answer) { feed(run, std::move(answer)); }}) {}

Process::~Process() {
  if (timer_) here_.reactor.cancel(*timer_);
}

Result<void> Process::start() {
  LOCKSTEP_CHECK(store_.forget_old_runs(kRunsKept));
  LOCKSTEP_TRY(std::vector<StoredRun> open, store_.open_runs());
  std::vector<std::string> names;
  for (StoredRun& stored : open) {
    names.push_back(stored.state.plan.run);
    runs_[names.back()].stored = std::move(stored);
  }
  for (const std::string& name : names) {
    spdlog::info("run {} goes on from {}", name,
                 run::phase_name(runs_.at(name).stored.state.phase));
    feed(name, run::Restarted{});
  }
  take_turns();
  return {};
}

Process::Held* Process::find(const std::string& run) {
  const auto held = runs_.find(run);
  return held == runs_.end() ? nullptr : &held->second;
}

bool Process::any_open(const std::string& service) const {
  return std::any_of(runs_.begin(), runs_.end(), [&](const auto& one) {
    const run::State& state = one.second.stored.state;
    return state.plan.service == service && !run::terminal(state.phase) && !run::pending(state);
  });
}

bool Process::knows(const std::string& run) {
  if (find(run) != nullptr) return true;
  const auto stored = store_.find_run(run);
  return !stored || stored.value().has_value();
}

const run::State* Process::at_work(const std::string& service) const {
  for (const auto& [name, held] : runs_) {
    const run::State& state = held.stored.state;
    if (state.plan.service == service && !run::terminal(state.phase)) return &state;
  }
  return nullptr;
}

std::size_t Process::pending(const std::string& service) const {
  return static_cast<std::size_t>(std::count_if(runs_.begin(), runs_.end(), [&](const auto& one) {
    const run::State& state = one.second.stored.state;
    return state.plan.service == service && !run::terminal(state.phase) && run::pending(state);
  }));
}

Result<std::string> Process::add(const Origin& origin, run::Plan plan,
                                 const std::string& asked_by) {
  LOCKSTEP_TRY(const Lead known, leads_.of(plan.service));
  if (known.arm > 0) plan.arm_lead = known.arm;
  if (known.raise > 0) plan.raise_lead = known.raise;
  plan.run = message::make_uuid7(here_.clock.utc());

  Store::Change change;
  change.runs.push_back({origin, plan});
  change.asked_by = asked_by;
  if (!plan.now) change.considered[plan.service] = {plan.scheduled};
  change.events.push_back(state_event(run::planned(plan)));
  const auto written = store_.apply("scheduler.plan", change);
  if (!written) {
    if (written.error().code == ErrorCode::journal_write) here_.fail(written.error());
    return written.error();
  }
  here_.events.flush();
  runs_[plan.run].stored = {origin, run::planned(plan), 0};
  return plan.run;
}

Result<std::string> Process::plan(const Origin& origin, std::optional<UtcNanos> at,
                                  const std::string& asked_by) {
  if (!at && any_open(origin.policy.service)) {
    return make_error(ErrorCode::run_busy, "a run of this service is under way",
                      origin.policy.service);
  }
  LOCKSTEP_TRY(run::Plan plan, plan_for(origin, here_.site));
  plan.now = !at;
  plan.scheduled = at ? at->count : now();
  plan.begin_at =
      at ? plan.scheduled - here_.site.arm_ahead.count - (plan.before_hook ? plan.hook_timeout : 0)
         : now();
  LOCKSTEP_TRY(const std::string run, add(origin, std::move(plan), asked_by));
  take_turns();
  return run;
}

Result<void> Process::plan_scheduled(const Origin& origin, UtcNanos moment) {
  LOCKSTEP_TRY(run::Plan plan, plan_for(origin, here_.site));
  plan.scheduled = moment.count;
  plan.begin_at = now();
  const auto run = add(origin, std::move(plan), "");
  if (!run && run.error().code == ErrorCode::run_busy) {  // a user had planned it by --at
    Store::Change change;
    change.considered[origin.policy.service] = moment;
    return store_.apply("scheduler.considered", change);
  }
  if (!run) return run.error();
  feed(run.value(), run::Tick{});  // one that has passed is missed at once
  take_turns();
  return {};
}

void Process::watch(const std::string& run, const transport::Request& request) {
  watchers_.add(run, request);
  if (const Held* held = find(run)) {
    if (run::terminal(held->stored.state.phase)) watchers_.end(held->stored.state);
    return;
  }
  const auto stored = store_.find_run(run);  // it may have ended at once
  if (stored && stored.value()) watchers_.end(stored.value()->state);
}

Result<run::Phase> Process::abort(const std::string& run) {
  Held* held = find(run);
  if (held == nullptr || run::terminal(held->stored.state.phase)) {
    LOCKSTEP_CHECK(show(run));
    return make_error(ErrorCode::guard, "the run has ended before", run);
  }
  if (held->stored.state.phase >= run::Phase::seal) {
    return make_error(ErrorCode::guard,
                      "the run can no longer be aborted: its point is being sealed, or it is "
                      "being dropped already",
                      run, "see `lockstep run show`; it ends by itself");
  }
  feed(run, run::Abort{});
  held = find(run);
  return held == nullptr ? run::Phase::aborted : held->stored.state.phase;
}

std::vector<std::string> Process::stand_down(const message::Epoch& decided) {
  std::vector<std::string> older;
  for (const auto& [name, held] : runs_) {
    const run::State& state = held.stored.state;
    // One of a journal that tells no epoch was planned in the first.
    const std::uint64_t planned = std::max<std::uint64_t>(1, held.stored.origin.epoch.number);
    if (planned < decided.number && !run::terminal(state.phase)) {
      older.push_back(name);
    }
  }
  for (const std::string& name : older) {
    spdlog::warn("run {} was planned under an older identity epoch than {}: it stands down", name,
                 decided.number);
    const Held* held = find(name);
    if (held != nullptr && held->stored.state.phase < run::Phase::seal) feed(name, run::Abort{});
  }
  return older;
}

Result<run::Phase> Process::nudge(const std::string& run) {
  Held* held = find(run);
  if (held == nullptr) {
    LOCKSTEP_CHECK(show(run));
    return make_error(ErrorCode::guard, "the run has ended; nothing of it waits", run,
                      "start another with `lockstep run`");
  }
  feed(run, run::Nudge{});
  take_turns();
  held = find(run);
  if (held == nullptr) {
    LOCKSTEP_TRY(const auto stored, store_.find_run(run));
    return stored ? stored->state.phase : run::Phase::complete;
  }
  return held->stored.state.phase;
}

Result<Body> Process::show(const std::string& run) {
  if (const Held* held = find(run)) return run_body(held->stored.state, held->progress);
  LOCKSTEP_TRY(const auto stored, store_.find_run(run));
  if (!stored)
    return make_error(ErrorCode::not_found, "there is no such run", run,
                      "`lockstep runs` lists them");
  return run_body(stored->state, {});
}

Result<Body> Process::list(const std::string& service, std::size_t limit) {
  LOCKSTEP_TRY(const auto runs, store_.newest_runs(service, limit));
  Body list = Body::array();
  for (const StoredRun& stored : runs) {
    Body row = run_body(stored.state);
    if (const Held* held = find(stored.state.plan.run)) {
      if (Body progress = progress_of(held->stored.state, held->progress); !progress.is_null())
        row["progress"] = std::move(progress);
    }
    list.push_back(std::move(row));
  }
  return list;
}

// A step of the logic: its records first, durable; then what they announce.
void Process::feed(const std::string& run, What what) {
  Held* held = find(run);
  if (held == nullptr) return;
  auto [next, effects] = run::step(held->stored.state, {now(), may_transfer_.contains(run), what});
  if (!effects.records.empty() && !write(run, what, std::move(next), effects)) return;
  carry_out(run, effects);
}

bool Process::write(const std::string& run, const What& what, run::State next,
                    const run::Effects& effects) {
  Held& held = *find(run);
  const run::State& before = held.stored.state;
  const bool ended = run::terminal(next.phase) && !run::terminal(before.phase);
  std::optional<run::Plan> successor;
  if (ended) successor = next_attempt(next);

  Store::Change change;
  change.records.push_back({&held.stored, next, effects.records});
  change.events = events_of(before, next, effects, successor.has_value());
  if (next.phase == run::Phase::keep && before.phase != run::Phase::keep)
    change.points.emplace_back(held.stored.origin.secondary, point_body(next));
  if (successor) {
    change.runs.push_back({held.stored.origin, *successor});
    change.events.push_back(state_event(run::planned(*successor)));
  }
  const std::string failpoint = std::string("scheduler.run.") + run::phase_name(next.phase);
  const auto written = store_.apply(failpoint.c_str(), change);
  if (!written) {
    failed_to_write(written.error(), run, what);
    return false;
  }
  here_.events.flush();

  const run::Phase phase_before = before.phase;
  held.stored.records += effects.records.size();
  held.stored.state = std::move(next);
  const run::State& state = held.stored.state;
  if (state.phase != phase_before) {
    spdlog::info("run {} of {}: {}{}", run, state.plan.service, run::phase_name(state.phase),
                 state.failure ? ": " + error_from_failure(*state.failure).text() : "");
    watchers_.tell(state, "", nullptr);
  }
  if (successor) {
    runs_[successor->run].stored = {held.stored.origin, run::planned(*successor), 0};
    watchers_.move(run, successor->run);
    watchers_.tell(runs_[successor->run].stored.state, "", nullptr);
  }
  return true;
}

// The successor of an ended run, where it deserves one. A missed moment is not caught up by two
// runs: one that waits for its turn already will do.
std::optional<run::Plan> Process::next_attempt(const run::State& ended) {
  if (!run::deserves_successor(ended)) return std::nullopt;
  if (ended.phase == run::Phase::missed) {
    const bool one_waits = std::any_of(runs_.begin(), runs_.end(), [&](const auto& one) {
      const run::State& state = one.second.stored.state;
      return state.plan.service == ended.plan.service && state.plan.run != ended.plan.run &&
             state.phase == run::Phase::scheduled;
    });
    if (one_waits) return std::nullopt;
  }
  return run::successor(ended, message::make_uuid7(here_.clock.utc()), now());
}

void Process::failed_to_write(const Error& error, const std::string& run, const What& what) {
  if (error.code != ErrorCode::journal_full) {
    here_.fail(error);
    return;
  }
  // Nothing was changed: the same input again, once there may be room.
  service::log_error(error);
  here_.reactor.after(kJournalFullPause, [this, run, what] { feed(run, what); });
}

void Process::carry_out(const std::string& run, const run::Effects& effects) {
  Held* held = find(run);
  for (const run::StepKey& key : effects.let_go) asking_.let_go(run, key);
  for (const run::Ask& ask : effects.asks) asking_.ask(held->stored, ask);
  if (effects.records.empty()) {
    if (const auto wake = run::next_wake(held->stored.state)) wake_for(*wake);
    return;
  }
  const run::State& state = held->stored.state;
  const bool ended = run::terminal(state.phase);
  const bool just_ended =
      ended && std::any_of(effects.records.begin(), effects.records.end(), [&](const auto& one) {
        const auto* entered = std::get_if<run::Entered>(&one.what);
        return entered != nullptr && run::terminal(entered->phase);
      });
  if (const auto wake = run::next_wake(state)) wake_for(*wake);
  if (just_ended) {
    leads_.learn(state);
    watchers_.end(state);
    const std::string service = state.plan.service;
    const bool complete = state.phase == run::Phase::complete;
    if (complete) supersede_older(state);
    if (complete && on_complete) on_complete(service);
  }
  held = find(run);
  if (held != nullptr && run::terminal(held->stored.state.phase) &&
      !run::has_chores(held->stored.state))
    runs_.erase(run);
  take_turns();
}

void Process::progressed(const std::string& run, const run::StepKey& key, const Body& body) {
  Held* held = find(run);
  if (held == nullptr) return;
  held->progress[key] = body;
  watchers_.tell(held->stored.state, run::step_name(key), body.value("sets", Body(nullptr)));
}

// A newer point was kept: the agents let go of older runs' pins with it.
void Process::supersede_older(const run::State& kept) {
  std::vector<std::string> older;
  for (const auto& [name, held] : runs_) {
    const run::State& state = held.stored.state;
    if (state.plan.service == kept.plan.service && run::terminal(state.phase) &&
        state.moment < kept.moment && run::has_chores(state))
      older.push_back(name);
  }
  for (const std::string& name : older) feed(name, run::Superseded{});
}

void Process::take_turns() {
  std::vector<Standing> standing;
  for (const auto& [name, held] : runs_) {
    if (run::terminal(held.stored.state.phase)) continue;
    standing.push_back({&held.stored.state,
                        {held.stored.origin.primary, held.stored.origin.secondary},
                        held.stored.origin.policy.max_pending});
  }
  const Turns turns = scheduler::turns(standing, now(), here_.site.max_runs_per_cluster);
  if (turns.look_again) wake_for(*turns.look_again);
  may_transfer_ = turns.may_transfer;
  std::erase_if(told_, [&](const std::string& name) { return !may_transfer_.contains(name); });
  std::set<std::string> granted = may_transfer_;
  std::erase_if(granted, [&](const std::string& name) { return told_.contains(name); });
  // Each of these may change whose turn it is, and feed() comes back here: one at a time.
  if (!turns.begin.empty()) {
    feed(turns.begin.front(), run::Begin{});
  } else if (!turns.refuse.empty()) {
    feed(turns.refuse.front().first, run::Refuse{turns.refuse.front().second});
  } else if (!granted.empty()) {
    const std::string name = *granted.begin();
    told_.insert(name);
    feed(name, run::Tick{});
    take_turns();  // a tick that changes nothing does not come back here by itself
  }
}

void Process::wake_for(run::Instant instant) {
  if (timer_ && timer_for_ <= instant) return;
  if (timer_) here_.reactor.cancel(*timer_);
  timer_for_ = instant;
  const run::Span delay = std::clamp<run::Span>(instant - now(), 0, kLookAgain);
  timer_ = here_.reactor.after({delay}, [this] { woken(); });
}

void Process::woken() {
  timer_.reset();
  std::vector<std::string> due;
  for (const auto& [name, held] : runs_) {
    const auto wake = run::next_wake(held.stored.state);
    if (wake && *wake <= now()) due.push_back(name);
  }
  for (const std::string& name : due) feed(name, run::Tick{});
  take_turns();
  // What is due and did not move waits for its turn to transfer; it is looked at again shortly.
  for (const auto& [name, held] : runs_) {
    if (const auto wake = run::next_wake(held.stored.state))
      wake_for(std::max(*wake, now() + run::kSecond / 2));
  }
}

Nanos Process::ahead(const policy::Policy& policy) {
  Nanos ahead = here_.site.arm_ahead;
  if (const auto known = leads_.of(policy.service))
    ahead = std::max(ahead, Nanos{known.value().arm});
  if (policy.before) ahead = ahead + policy.before->timeout;
  return ahead;
}

}  // namespace lockstep::scheduler
