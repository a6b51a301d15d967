#include "tests/simulation/control.hpp"

#include <algorithm>

#include "services/scheduler/run/successor.hpp"

namespace lockstep::simulation {
namespace {

bool clears_up(run::Act act) {
  return act == run::Act::keep || act == run::Act::keep_manifest || act == run::Act::drop ||
         act == run::Act::drop_transfer;
}

}  // namespace

void Control::later(Span span, std::function<void()> happening) {
  world_.after(span, [this, life = life_, happening = std::move(happening)] {
    if (up_ && life == life_) happening();
  });
}

void Control::start() {
  up_ = true;
  if (considered_.empty()) considered_.assign(services.size(), host_.read(world_));
  states_ = recovered();
  world_.tell("scheduler", "starts, knows " + std::to_string(states_.size()) + " runs");
  std::vector<std::string> all;
  for (const auto& [name, state] : states_) all.push_back(name);
  for (const std::string& name : all) {
    if (!up_) return;
    const run::Phase before = states_.at(name).phase;
    feed(name, run::Restarted{});
    if (up_ && (before == run::Phase::raise || before == run::Phase::pin) &&
        states_.at(name).ending == run::Phase::complete)
      world_.violated(name + " was going to be pinned, and is again after a crash");
  }
  if (up_) stand_down();
  if (up_) take_turns();
  if (up_) look_at_schedules();
  if (up_ && on_start) on_start();
}

void Control::learn_epoch(std::uint64_t number) {
  if (number <= epoch_) return;
  epoch_ = number;
  world_.tell("scheduler", "learns of epoch " + std::to_string(number));
  if (up_) stand_down();
}

void Control::stand_down() {
  std::vector<std::string> older;
  for (const auto& [name, state] : states_) {
    if (journal_.at(name).epoch < epoch_ && state.phase < run::Phase::seal) older.push_back(name);
  }
  for (const std::string& name : older) {
    if (up_) feed(name, run::Abort{});
  }
}

void Control::crash(Span away) {
  if (!up_) return;
  world_.tell("scheduler", "crashes");
  up_ = false;
  ++life_;
  states_.clear();
  waiting_.clear();
  may_transfer_.clear();
  woken_for_ = 0;
  if (on_death) on_death();
  world_.after(away, [this] { start(); });
}

std::map<std::string, run::State> Control::recovered() const {
  std::map<std::string, run::State> states;
  for (const auto& [name, journaled] : journal_) {
    run::State state = run::planned(journaled.plan);
    for (const run::Record& record : journaled.records) run::fold(state, record);
    states.emplace(name, std::move(state));
  }
  return states;
}

bool Control::quiet() const {
  const auto states = recovered();
  return std::all_of(states.begin(), states.end(), [](const auto& one) {
    return run::terminal(one.second.phase) && !run::has_chores(one.second);
  });
}

bool Control::write(const std::function<void()>& transaction) {
  if (world_.mishap(crash_at_write / 2)) {
    crash(world_.between(kSecond / 10, 30 * kSecond));
    return false;
  }
  transaction();
  if (world_.mishap(crash_at_write / 2)) {
    crash(world_.between(kSecond / 10, 30 * kSecond));
    return false;
  }
  return true;
}

void Control::plan_run(run::Plan plan, std::size_t service) {
  if (!planned_.emplace(plan.service, plan.scheduled, plan.attempt).second)
    world_.violated("planned twice: " + plan.service);
  world_.tell("scheduler", "plans " + plan.run + (plan.now ? " (now)" : ""));
  const std::string name = plan.run;
  journal_[name] = {service, epoch_, std::move(plan), {}};
}

void Control::feed(const std::string& name, decltype(run::Input::what) what) {
  const auto held = states_.find(name);
  if (held == states_.end()) return;
  const run::State before = held->second;
  auto [state, effects] =
      run::step(before, {host_.read(world_), may_transfer_.contains(name), std::move(what)});
  check_terminal_stays(before, state);
  if (!effects.records.empty()) {
    std::optional<run::Plan> next;
    const bool written = write([&] {
      Journaled& journaled = journal_.at(name);
      for (const run::Record& record : effects.records) journaled.records.push_back(record);
      if (run::terminal(state.phase) && !run::terminal(before.phase) &&
          run::deserves_successor(state)) {
        next = run::successor(state, "r" + std::to_string(++runs_made_), host_.read(world_));
        plan_run(*next, journaled.service);
      }
    });
    if (state.phase != before.phase)
      world_.tell("scheduler", name + " is " + run::phase_name(state.phase) +
                                   (state.failure ? ", " + state.failure->code : ""));
    if (!written) return;
    if (next) states_[next->run] = run::planned(*next);
  }
  states_[name] = std::move(state);
  for (const run::StepKey& key : effects.let_go) {
    std::erase_if(waiting_, [&](const auto& one) {
      return one.second.letter.plan->run == name && one.second.letter.ask.key == key;
    });
  }
  for (const run::Ask& ask : effects.asks) send(name, ask);
  if (run::terminal(states_[name].phase) && states_[name].phase == run::Phase::complete &&
      before.phase != run::Phase::complete) {
    if (on_complete) on_complete(states_[name].plan.service);
    std::vector<std::string> older;
    for (const auto& [other, one] : states_) {
      if (one.plan.service == states_[name].plan.service && run::terminal(one.phase) &&
          one.moment < states_[name].moment && run::has_chores(one))
        older.push_back(other);
    }
    for (const std::string& other : older)
      if (up_) feed(other, run::Superseded{});
  }
  if (!up_) return;
  check_one_run_a_service();
  if (const auto wake = run::next_wake(states_[name])) wake_at(*wake);
  take_turns();
}

void Control::take_turns() {
  std::vector<scheduler::Standing> standing;
  for (const auto& [name, state] : states_) {
    if (run::terminal(state.phase)) continue;
    const ServiceSchedule& service = services[journal_.at(name).service];
    standing.push_back({&state, service.clusters, service.max_pending});
  }
  const scheduler::Turns turns = scheduler::turns(standing, host_.read(world_), per_cluster);
  if (turns.look_again) wake_at(*turns.look_again);
  std::set<std::string> granted = turns.may_transfer;
  std::erase_if(granted, [&](const std::string& name) { return may_transfer_.contains(name); });
  may_transfer_ = turns.may_transfer;
  // Each of these may change whose turn it is: one at a time, then look again.
  if (!turns.begin.empty()) {
    feed(turns.begin.front(), run::Begin{});
  } else if (!turns.refuse.empty()) {
    feed(turns.refuse.front().first, run::Refuse{turns.refuse.front().second});
  } else if (!granted.empty()) {
    feed(*granted.begin(), run::Tick{});
  }
}

void Control::wake_at(Instant shown) {
  const Instant due = std::max(host_.true_time(shown), world_.now());
  if (woken_for_ != 0 && woken_for_ <= due) return;
  woken_for_ = due;
  later(due - world_.now(), [this, due] {
    if (woken_for_ != due) return;
    woken_for_ = 0;
    std::vector<std::string> all;
    for (const auto& [name, state] : states_) all.push_back(name);
    for (const std::string& name : all) {
      const auto held = states_.find(name);
      if (!up_) return;
      if (held == states_.end()) continue;
      const auto wake = run::next_wake(held->second);
      if (wake && *wake <= host_.read(world_)) feed(name, run::Tick{});
    }
    if (up_) look_at_schedules();
    if (!up_) return;
    take_turns();
    // A transfer that waits for its turn is retried when it is granted, not before; everything else
    // has moved on. Look again a little later at what has not.
    for (const auto& [name, state] : states_) {
      if (const auto wake = run::next_wake(state))
        wake_at(std::max(*wake, host_.read(world_) + kSecond / 2));
    }
  });
}

void Control::look_at_schedules() {
  for (std::size_t i = 0; i < services.size(); ++i) {
    const ServiceSchedule& service = services[i];
    const scheduler::NextMoment next = [&](UtcNanos after) -> Result<std::optional<UtcNanos>> {
      const auto found =
          std::upper_bound(service.moments.begin(), service.moments.end(), after.count);
      if (found == service.moments.end()) return std::optional<UtcNanos>{};
      return std::optional<UtcNanos>{UtcNanos{*found}};
    };
    const auto due = scheduler::due(next, {considered_[i]}, {host_.read(world_)}, {service.ahead});
    if (!due) {
      world_.violated("the timetable failed");
      return;
    }
    if (due->what == scheduler::Due::What::nothing) {
      if (due->look_again) wake_at(due->look_again->count);
      continue;
    }
    run::Plan plan = service.plan;
    plan.scheduled = due->moment.count;
    plan.begin_at = host_.read(world_);
    const bool written = write([&] {
      plan.run = "r" + std::to_string(++runs_made_);
      considered_[i] = plan.scheduled;
      plan_run(plan, i);
    });
    if (!written) return;
    states_[plan.run] = run::planned(plan);
    feed(plan.run, run::Tick{});  // a moment that has passed is missed at once
    if (!up_) return;
    wake_at(host_.read(world_));
  }
}

void Control::send(const std::string& name, const run::Ask& ask) {
  Letter letter;
  letter.id = next_id_++;
  letter.plan = std::make_shared<run::Plan>(states_.at(name).plan);
  letter.ask = ask;
  letter.moment = states_.at(name).moment;
  // What clears up after a run is given under the epoch that holds.
  letter.epoch = clears_up(ask.key.act) ? epoch_ : journal_.at(name).epoch;
  waiting_[letter.id] = {letter, world_.now(), 0};
  wire_.send(letter);
  later(2 * kSecond, [this, id = letter.id] { resend(id); });
}

void Control::resend(std::uint64_t id) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  const Waiting& one = found->second;
  const Span since = world_.now() - std::max(one.heard, one.asked);
  const run::Ask& ask = one.letter.ask;
  if (since > ask.silence || world_.now() - one.asked > ask.deadline) {
    const bool heard = one.heard != 0;
    const bool late = since <= ask.silence;
    finish(id, run::Failure{late    ? "deadline"
                            : heard ? "stalled"
                                    : "unreachable",
                            "no answer from " + ask.key.agent, ask.key.agent, "", heard});
    return;
  }
  wire_.send(one.letter);
  later(2 * kSecond, [this, id] { resend(id); });
}

void Control::receive(const Reply& reply) {
  if (!up_) return;
  const auto found = waiting_.find(reply.id);
  if (found == waiting_.end()) return;
  found->second.heard = world_.now();
  if (reply.stage == Reply::Stage::last) finish(reply.id, reply.outcome);
}

void Control::finish(std::uint64_t id, std::variant<run::Facts, run::Failure> outcome) {
  const Letter letter = waiting_.at(id).letter;
  waiting_.erase(id);
  feed(letter.plan->run, run::Answer{letter.ask.key, letter.ask.attempt, std::move(outcome)});
}

void Control::abort_something() {
  if (!up_) return;
  for (const auto& [name, state] : states_) {
    if (run::terminal(state.phase)) continue;
    world_.tell("user", "aborts " + name);
    feed(name, run::Abort{});
    return;
  }
}

void Control::check_terminal_stays(const run::State& before, const run::State& after) {
  if (run::terminal(before.phase) && before.phase != after.phase)
    world_.violated(before.plan.run + " left its terminal state");
}

void Control::check_one_run_a_service() {
  std::map<std::string, int> at_work;
  std::map<std::string, int> moving;
  for (const auto& [name, state] : states_) {
    if (state.phase > run::Phase::scheduled && state.phase < run::Phase::transfer)
      ++at_work[state.plan.service];
    const run::StepState* transfer = state.find({run::Act::transfer, 0, state.plan.mover()});
    if (transfer != nullptr && transfer->status == run::StepState::Status::asked)
      ++moving[state.plan.service];
  }
  for (const auto& [service, runs] : at_work)
    if (runs > 1) world_.violated("two runs of " + service + " at work");
  for (const auto& [service, runs] : moving)
    if (runs > 1) world_.violated("two transfers of " + service);
}

}  // namespace lockstep::simulation
