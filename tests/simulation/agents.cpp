#include "tests/simulation/agents.hpp"

#include <algorithm>
#include <limits>

#include "services/transfer-agent/guards.hpp"

namespace lockstep::simulation {
namespace {

bool refers_to_dropping(run::Act act) {
  return act == run::Act::drop || act == run::Act::drop_transfer;
}

bool chore(run::Act act) {
  return refers_to_dropping(act) || act == run::Act::keep || act == run::Act::keep_manifest;
}

}  // namespace

void SimulatedAgent::receive(const Letter& letter) {
  if (!up_) return;
  const Key key = key_of(letter);
  const auto stored = replies_.find(key);
  if (stored != replies_.end()) {
    wire_.answer({letter.id, Reply::Stage::last, stored->second});
    return;
  }
  learn_epoch(letter.epoch);
  if (letter.epoch < epoch_ && letter.ask.key.act != run::Act::seal) {
    fail(letter, "epoch-old", "the identity epoch is " + std::to_string(epoch_));
    return;
  }
  if (tombstones_.contains(letter.plan->run) && !chore(letter.ask.key.act) &&
      letter.ask.key.act != run::Act::seal) {
    fail(letter, "pin-dropped", "the run was dropped");
    return;
  }
  int& highest = highest_attempt_[{letter.plan->run, run::step_name(letter.ask.key)}];
  if (letter.ask.attempt < highest) return;  // fenced by a later one
  highest = letter.ask.attempt;
  const auto busy = under_way_.find(key);
  wire_.answer({letter.id, Reply::Stage::accepted, run::Nothing{}});
  if (busy != under_way_.end()) {
    busy->second = letter.id;
    return;
  }
  under_way_[key] = letter.id;
  world_.tell(name_, letter.text());
  handle(letter);
}

void SimulatedAgent::learn_epoch(std::uint64_t number) {
  if (number <= epoch_) return;
  epoch_ = number;
  world_.tell(name_, "keeps epoch " + std::to_string(number));
}

void SimulatedAgent::crash(Span away) {
  if (!up_) return;
  world_.tell(name_, "crashes");
  up_ = false;
  ++life_;
  under_way_.clear();
  lose_volatile();
  world_.after(away, [this] {
    up_ = true;
    world_.tell(name_, "is back");
    recover();
  });
}

void SimulatedAgent::later(Span span, std::function<void()> happening) {
  later_at(world_.now() + span, std::move(happening));
}

void SimulatedAgent::later_at(Instant instant, std::function<void()> happening) {
  world_.at(instant, [this, life = life_, happening = std::move(happening)] {
    if (up_ && life == life_) happening();
  });
}

bool SimulatedAgent::crashed_by_write() {
  if (!world_.mishap(crash_at_write)) return false;
  crash(world_.between(kSecond / 5, 20 * kSecond));
  return true;
}

bool SimulatedAgent::answer(const Letter& letter, run::Facts facts) {
  if (crashed_by_write()) return false;
  const Key key = key_of(letter);
  replies_[key] = facts;
  const auto asker = under_way_.find(key);
  const std::uint64_t id = asker == under_way_.end() ? letter.id : asker->second;
  under_way_.erase(key);
  if (crashed_by_write()) return true;
  wire_.answer({id, Reply::Stage::last, std::move(facts)});
  return true;
}

void SimulatedAgent::fail(const Letter& letter, const std::string& code, const std::string& what) {
  if (crashed_by_write()) return;
  const Key key = key_of(letter);
  run::Failure failure{code, what, name_, "", true};
  world_.tell(name_, letter.text() + " fails: " + code + " " + what);
  replies_[key] = failure;
  const auto asker = under_way_.find(key);
  const std::uint64_t id = asker == under_way_.end() ? letter.id : asker->second;
  under_way_.erase(key);
  wire_.answer({id, Reply::Stage::last, failure});
}

// The snapshot-agent.

std::vector<const run::Member*> SnapshotAgent::own(const Letter& letter,
                                                   const std::vector<std::string>& names) const {
  std::vector<const run::Member*> members;
  for (const run::Member& member : letter.plan->members) {
    if (member.agent == name_ &&
        (names.empty() || std::find(names.begin(), names.end(), member.name) != names.end()))
      members.push_back(&member);
  }
  return members;
}

void SnapshotAgent::handle(const Letter& letter) {
  switch (letter.ask.key.act) {
    case run::Act::arm:
      arm(letter);
      return;
    case run::Act::raise:
      later_at(host_.true_time(letter.ask.at), [this, letter] { raise(letter); });
      return;
    case run::Act::pin:
      later_at(host_.true_time(letter.ask.at), [this, letter] { pin(letter); });
      return;
    case run::Act::lower:
      lower(letter);
      return;
    case run::Act::commit:
      later(world_.between(kMillisecond, 200 * kMillisecond), [this, letter] { commit(letter); });
      return;
    case run::Act::drop:
      drop(letter);
      return;
    case run::Act::keep:
      keep(letter);
      return;
    default:
      world_.violated("a snapshot-agent was asked for " + letter.text());
  }
}

void SnapshotAgent::arm(const Letter& letter) {
  const Span takes = world_.likely(0.1) ? world_.between(kSecond / 10, 3 * kSecond)
                                        : world_.between(kMillisecond, 40 * kMillisecond);
  later(takes, [this, letter] {
    if (tombstones_.contains(letter.plan->run)) {
      fail(letter, "pin-dropped", "the run was dropped");
      return;
    }
    armed_.insert(letter.plan->run);
    run::Armed armed;
    armed.clock = host_.report();
    for (const run::Member* member : own(letter, {}))
      armed.sets.push_back({member->name, 20 * kMillisecond, false, true, true, "simulated"});
    answer(letter, armed);
  });
}

void SnapshotAgent::raise(const Letter& letter) {
  if (tombstones_.contains(letter.plan->run) || !armed_.contains(letter.plan->run)) {
    fail(letter, "fence-failed", "nothing is armed");
    return;
  }
  const Instant requested = host_.read(world_);
  later(world_.between(kMillisecond / 10, 12 * kMillisecond), [this, letter, requested] {
    if (tombstones_.contains(letter.plan->run)) {
      fail(letter, "pin-dropped", "the run was dropped");
      return;
    }
    run::Raised raised;
    raised.clock = host_.report();
    for (const run::Member* member : own(letter, letter.ask.sets)) {
      const RunSet which{letter.plan->run, member->name};
      Fence& fence = fences_[which];
      fence.truth = {world_.now(), std::numeric_limits<Instant>::max()};
      truth_.fences[which] = fence.truth;
      const Span lasts = world_.mishap(fence_breaks)
                             ? world_.between(kMillisecond, 100 * kMillisecond)
                             : member->fence_timeout;
      later(lasts, [this, which] {
        const auto up = fences_.find(which);
        if (up != fences_.end()) fall(which, up->second);
      });
      raised.sets.push_back({member->name, "own_lock", {requested, host_.read(world_)}});
    }
    answer(letter, raised);
  });
}

void SnapshotAgent::fall(const RunSet& which, Fence& fence) {
  if (fence.broken) return;
  fence.broken = true;
  truth_.fences[which].to = world_.now();
  world_.tell(name_, "the fence of " + which.second + " falls");
}

void SnapshotAgent::pin(const Letter& letter) {
  const std::string& run = letter.plan->run;
  if (tombstones_.contains(run) || !armed_.contains(run)) {
    fail(letter, "pin-lost", "nothing is armed");
    return;
  }
  if (world_.mishap(pin_fails)) {
    fail(letter, "pin-failed", "a mishap");
    return;
  }
  const Instant from = world_.now();
  const Instant requested = host_.read(world_);
  const Span takes = world_.likely(0.05) ? world_.between(kMillisecond, 3 * kSecond)
                                         : world_.between(kMillisecond / 10, 30 * kMillisecond);
  later(takes, [this, letter, from, requested] {
    const std::string& name = letter.plan->run;
    if (tombstones_.contains(name)) {
      fail(letter, "pin-dropped", "the run was dropped");
      return;
    }
    run::Pinned pinned;
    pinned.clock = host_.report();
    std::map<std::string, Instant> shown_until;
    for (const run::Member* member : own(letter, letter.ask.sets)) {
      const bool one_instant = world_.likely(0.7);
      const bool quiet = !one_instant && world_.likely(0.5);
      shown_until[member->name] = quiet || (!one_instant && member->fenced) ? from : world_.now();
      pinned.sets.push_back({member->name,
                             {requested, host_.read(world_)},
                             one_instant,
                             quiet,
                             true,
                             "simulated",
                             {},
                             {"simulated", name, member->name}});
    }
    // Intent before the pin, record after it: a crash before the record drops what was made, so
    // that here the pin is there exactly where its record is.
    if (!answer(letter, pinned)) return;
    for (const run::Member* member : own(letter, letter.ask.sets)) {
      const RunSet which{name, member->name};
      Pin made;
      made.service = letter.plan->service;
      made.set = member->name;
      made.moment = letter.moment;
      made.truth = {from, world_.now()};
      made.lease_until = world_.now() + letter.plan->lease;
      pins_[which] = made;
      truth_.pins[which] = made.truth;
      truth_.shown_until[which] = shown_until.at(member->name);
      ++truth_.pinned[which];
      watch_lease(which);
    }
  });
}

void SnapshotAgent::watch_lease(const RunSet& which) {
  const auto held = pins_.find(which);
  if (held == pins_.end() || held->second.committed) return;
  later_at(held->second.lease_until, [this, which] {
    const auto pin = pins_.find(which);
    if (pin == pins_.end() || pin->second.committed) return;
    world_.tell(name_, "the lease of " + which.first + "/" + which.second + " ran out");
    pins_.erase(pin);
  });
}

void SnapshotAgent::lower(const Letter& letter) {
  run::Lowered lowered;
  const Instant requested = host_.read(world_);
  lowered.clock = host_.report();
  for (const run::Member* member : own(letter, {})) {
    if (!member->fenced) continue;
    const RunSet which{letter.plan->run, member->name};
    const auto up = fences_.find(which);
    const bool held = up != fences_.end() && !up->second.broken;
    if (held) truth_.fences[which].to = world_.now();
    lowered.sets.push_back(
        {member->name, {requested, host_.read(world_)}, held, held ? "" : "it had fallen before"});
    if (up != fences_.end()) fences_.erase(up);
  }
  answer(letter, lowered);
}

void SnapshotAgent::commit(const Letter& letter) {
  run::Committed committed;
  committed.committed = true;
  const auto members = own(letter, {});
  for (const run::Member* member : members) {
    if (!pins_.contains({letter.plan->run, member->name})) committed.committed = false;
    committed.sets.push_back({member->name, {"simulated", letter.plan->run, member->name}});
  }
  if (!answer(letter, committed)) return;
  for (const run::Member* member : members) {
    const RunSet which{letter.plan->run, member->name};
    if (committed.committed)
      pins_[which].committed = true;
    else
      pins_.erase(which);
  }
}

void SnapshotAgent::drop(const Letter& letter) {
  const std::string& run = letter.plan->run;
  if (crashed_by_write()) return;
  tombstones_.insert(run);
  armed_.erase(run);
  for (const run::Member* member : own(letter, {})) {
    const RunSet which{run, member->name};
    pins_.erase(which);
    const auto up = fences_.find(which);
    if (up != fences_.end()) {
      fall(which, up->second);
      fences_.erase(up);
    }
  }
  answer(letter, run::Nothing{});
}

void SnapshotAgent::keep(const Letter& letter) {
  const std::string& service = letter.plan->service;
  if (crashed_by_write()) return;
  armed_.erase(letter.plan->run);
  if (base_moments_[service] <= letter.moment) {
    base_moments_[service] = letter.moment;
    bases_[service] = letter.plan->run;
    for (auto pin = pins_.begin(); pin != pins_.end();) {
      const bool older = pin->second.service == service && pin->second.moment < letter.moment &&
                         pin->first.first != letter.plan->run;
      pin = older ? pins_.erase(pin) : std::next(pin);
    }
  } else {
    for (const run::Member* member : own(letter, {})) pins_.erase({letter.plan->run, member->name});
  }
  answer(letter, run::Nothing{});
}

void SnapshotAgent::lose_volatile() {
  for (auto& [which, fence] : fences_) fall(which, fence);
  fences_.clear();
  armed_.clear();
}

void SnapshotAgent::recover() {
  for (auto pin = pins_.begin(); pin != pins_.end();) {
    const bool over = !pin->second.committed && pin->second.lease_until <= world_.now();
    pin = over ? pins_.erase(pin) : std::next(pin);
  }
  for (const auto& [which, pin] : pins_) watch_lease(which);
}

// The transfer-agent.

void TransferAgent::handle(const Letter& letter) {
  const std::string& run = letter.plan->run;
  switch (letter.ask.key.act) {
    case run::Act::transfer:
      transfer(letter);
      return;
    case run::Act::seal:
      later(world_.between(kMillisecond, 50 * kMillisecond), [this, letter] { seal(letter); });
      return;
    case run::Act::drop_transfer:
      if (crashed_by_write()) return;
      if (points_.contains(run)) world_.violated("a sealed run was dropped: " + run);
      tombstones_.insert(run);
      staged_.erase(run);
      answer(letter, run::Nothing{});
      return;
    case run::Act::keep_manifest:
      answer(letter, run::Nothing{});
      return;
    default:
      world_.violated("a transfer-agent was asked for " + letter.text());
  }
}

void TransferAgent::transfer(const Letter& letter) {
  if (!receiver->up() || !sender->up()) {
    later(world_.between(kSecond / 10, 5 * kSecond),
          [this, letter] { fail(letter, "stream-peer-lost", "the other transfer-agent is away"); });
    return;
  }
  if (world_.mishap(transfer_fails)) {
    fail(letter, world_.likely(0.3) ? "no-space" : "stream-digest", "a mishap");
    return;
  }
  later(world_.between(10 * kMillisecond, 20 * kSecond), [this, letter] { transfer_ends(letter); });
}

void TransferAgent::transfer_ends(const Letter& letter) {
  const std::string& run = letter.plan->run;
  if (tombstones_.contains(run) || receiver->tombstones_.contains(run)) {
    fail(letter, "pin-dropped", "the run was dropped");
    return;
  }
  if (!receiver->up() || !sender->up()) {
    fail(letter, "stream-peer-lost", "the other transfer-agent went away");
    return;
  }
  run::Transferred moved;
  Point staged{letter.plan->service, letter.moment, {}};
  for (const run::Member& member : letter.plan->members) {
    const auto source =
        std::find_if(sources.begin(), sources.end(),
                     [&](const SnapshotAgent* agent) { return agent->name() == member.agent; });
    if (!(*source)->pins().contains({run, member.name})) {
      fail(letter, "version-missing", member.name);
      return;
    }
    staged.sets.insert(member.name);
    moved.sets.push_back({member.name, "root", 1, 1, 1, 0, {}, {}});
  }
  // Staging converges: what was moved under an earlier attempt is found done.
  if (receiver->staged_.emplace(run, staged).second) ++truth_.transferred[run];
  answer(letter, moved);
}

void TransferAgent::seal(const Letter& letter) {
  const std::string& run = letter.plan->run;
  run::Sealed sealed;
  if (!points_.contains(run)) {
    const auto staged = staged_.find(run);
    // Under an older epoch: what stood before it was raised stands, what did not never will.
    if (staged == staged_.end() || tombstones_.contains(run) || letter.epoch < epoch_) {
      tombstones_.insert(run);
      staged_.erase(run);
      answer(letter, sealed);
      return;
    }
    if (crashed_by_write()) return;
    points_[run] = staged->second;
    points_[run].sealed_at = host_.read(world_);
    points_[run].good = !world_.mishap(points_are_damaged);
    if (deleted_.contains(run)) world_.violated(run + " was deleted and is there again");
    ++truth_.sealed[run];
    world_.tell(name_, "SEALED " + run);
    if (crashed_by_write()) return;
  }
  sealed.sealed = true;
  sealed.sealed_at = host_.read(world_);
  answer(letter, sealed);
}

void TransferAgent::delete_point(const std::string& run) {
  const auto found = points_.find(run);
  if (!up() || found == points_.end()) return;
  std::vector<transfer::PointFacts> facts;
  for (const auto& [name, point] : points_) {
    if (point.service == found->second.service)
      facts.push_back({name, UtcNanos{point.moment}, UtcNanos{point.sealed_at}, !point.good});
  }
  const auto may =
      transfer::may_delete(facts, run, UtcNanos{host_.read(world_)}, Nanos{lock}, false);
  if (!may) {
    world_.tell(name_, "does not delete " + run + ": " + may.error().what);
    return;
  }
  if (crashed_by_write()) return;
  world_.tell(name_, "deletes " + run);
  tombstones_.insert(run);
  deleted_.insert(points_.extract(found));
  staged_.erase(run);
}

}  // namespace lockstep::simulation
